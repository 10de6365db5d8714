#if defined(__linux__)

#include "core/memory/cleanse.h"

#include <cstring>

namespace nomyo {

void Cleanse(void* data, std::size_t size) noexcept {
  if (size != 0) explicit_bzero(data, size);
}

}  // namespace nomyo

#else
#error "This file is for Linux: native/CMakeLists.txt takes each system's own."
#endif
