#if defined(_WIN32)

#include "core/memory/cleanse.h"

#include <windows.h>

namespace nomyo {

void Cleanse(void* data, std::size_t size) noexcept {
  if (size != 0) SecureZeroMemory(data, size);
}

}  // namespace nomyo

#else
#error "This file is for Windows: native/CMakeLists.txt takes each system's own."
#endif
