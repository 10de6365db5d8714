#if defined(__APPLE__)

#include <sys/random.h>
#include <unistd.h>

#include <algorithm>

#include "core/memory/kernel_random.h"

namespace nomyo {

std::size_t KernelRandomPart(std::span<std::uint8_t> out) noexcept {
  const std::size_t part = std::min<std::size_t>(out.size(), 256);  // getentropy gives no more at once
  return getentropy(out.data(), part) == 0 ? part : 0;
}

}  // namespace nomyo

#else
#error "This file is for macOS: native/CMakeLists.txt takes each system's own."
#endif
