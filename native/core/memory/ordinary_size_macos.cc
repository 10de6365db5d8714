#if defined(__APPLE__)

#include "core/memory/ordinary_size.h"

#include <malloc/malloc.h>

namespace nomyo {

std::size_t OrdinarySize(void* memory) noexcept {
  return malloc_size(memory);
}

}  // namespace nomyo

#else
#error "This file is for macOS: native/CMakeLists.txt takes each system's own."
#endif
