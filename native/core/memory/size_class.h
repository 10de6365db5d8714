// The pool's size classes: which sizes share a chunk, and how large a chunk of each is. Any thread.
#pragma once

#include <algorithm>
#include <cstddef>
#include <iterator>

#include "core/memory/canary.h"

namespace nomyo {

// Usable sizes of the classes. OpenSSL's allocations are mostly under 1 KiB, so steps are finest there; a step of at
// most a half above bounds what is lost inside a slot to a third.
inline constexpr std::size_t kClassBytes[] = {16,   32,   48,   64,   80,    96,    112,   128,   160,   192,
                                              224,  256,  320,  384,  448,   512,   768,   1024,  1536,  2048,
                                              3072, 4096, 6144, 8192, 12288, 16384, 24576, 32768, 49152, 65536};

// A chunk holds at least four slots of its class, and is no larger than it need be: each page of it counts against the
// lock limit. {largest class, bytes of the chunk before rounding up to pages}.
struct Geometry {
  std::size_t largest_class;
  std::size_t bytes;
};
inline constexpr Geometry kGeometry[] = {{512, std::size_t{16} * 1024},
                                         {8192, std::size_t{64} * 1024},
                                         {32768, 4 * (32768 + kCanaryOverhead)},
                                         {65536, 4 * (65536 + kCanaryOverhead)}};

inline constexpr std::size_t kSizeClasses = std::size(kClassBytes);
inline constexpr std::size_t kGeometries = std::size(kGeometry);
// The largest allocation that has a class.
inline constexpr std::size_t kLargestClass = kClassBytes[kSizeClasses - 1];

// ClassOf returns the class of a size from 1 to kLargestClass: the first that it fits into.
inline std::size_t ClassOf(std::size_t size) {
  // The first 8 classes are 16 bytes apart: no search for the commonest sizes.
  if (size <= 128) return (size + 15) / 16 - 1;
  return static_cast<std::size_t>(std::lower_bound(std::begin(kClassBytes) + 8, std::end(kClassBytes), size) -
                                  std::begin(kClassBytes));
}

// GeometryOf returns the place in kGeometry of a class's chunks.
inline std::size_t GeometryOf(std::size_t size_class) {
  std::size_t geometry = 0;
  while (kGeometry[geometry].largest_class < kClassBytes[size_class]) ++geometry;
  return geometry;
}

}  // namespace nomyo
