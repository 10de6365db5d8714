#if defined(_WIN32)

#include "core/memory/large_blocks.h"

#include <cstdlib>

namespace nomyo {

std::uint8_t* TakeLargeBlock(std::size_t& size) noexcept {
  return static_cast<std::uint8_t*>(std::malloc(size));
}

void GiveLargeBlock(std::uint8_t* data, std::size_t) noexcept {
  std::free(data);
}

}  // namespace nomyo

#else
#error "This file is for Windows: native/CMakeLists.txt takes each system's own."
#endif
