#if defined(__APPLE__)

#define __STDC_WANT_LIB_EXT1__ 1  // memset_s

#include "core/memory/cleanse.h"

#include <string.h>

namespace nomyo {

void Cleanse(void* data, std::size_t size) noexcept {
  if (size != 0) memset_s(data, size, 0, size);
}

}  // namespace nomyo

#else
#error "This file is for macOS: native/CMakeLists.txt takes each system's own."
#endif
