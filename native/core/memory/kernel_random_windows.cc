#if defined(_WIN32)

#include <windows.h>

#include <bcrypt.h>

#include <algorithm>

#include "core/memory/kernel_random.h"

namespace nomyo {

std::size_t KernelRandomPart(std::span<std::uint8_t> out) noexcept {
  const std::size_t part = (std::min)(out.size(), std::size_t{1} << 20);
  const auto status = BCryptGenRandom(nullptr, out.data(), static_cast<ULONG>(part), BCRYPT_USE_SYSTEM_PREFERRED_RNG);
  return status == 0 ? part : 0;
}

}  // namespace nomyo

#else
#error "This file is for Windows: native/CMakeLists.txt takes each system's own."
#endif
