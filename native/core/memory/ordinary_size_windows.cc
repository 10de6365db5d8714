#if defined(_WIN32)

#include "core/memory/ordinary_size.h"

#include <malloc.h>

namespace nomyo {

std::size_t OrdinarySize(void* memory) noexcept {
  return _msize(memory);
}

}  // namespace nomyo

#else
#error "This file is for Windows: native/CMakeLists.txt takes each system's own."
#endif
