#if defined(__APPLE__)
#define __STDC_WANT_LIB_EXT1__ 1  // memset_s
#endif
#include "core/memory/cleanse.h"

#include <cstring>

#if defined(_WIN32)
#include <windows.h>
#endif

namespace nomyo {

void Cleanse(void* data, std::size_t size) noexcept {
  if (size == 0) return;
#if defined(_WIN32)
  SecureZeroMemory(data, size);
#elif defined(__APPLE__)
  memset_s(data, size, 0, size);
#else
  explicit_bzero(data, size);
#endif
}

}  // namespace nomyo
