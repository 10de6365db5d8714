#if defined(__linux__)

#include "core/memory/ordinary_size.h"

#include <malloc.h>

namespace nomyo {

std::size_t OrdinarySize(void* memory) noexcept {
  return malloc_usable_size(memory);
}

}  // namespace nomyo

#else
#error "This file is for Linux: native/CMakeLists.txt takes each system's own."
#endif
