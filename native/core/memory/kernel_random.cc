#include "core/memory/kernel_random.h"

#include <algorithm>
#include <cerrno>

#include "core/memory/cleanse.h"

#if defined(_WIN32)
#include <windows.h>

#include <bcrypt.h>
#else
#include <sys/random.h>
#include <unistd.h>
#endif

namespace nomyo {

bool KernelRandom(std::span<std::uint8_t> out) noexcept {
  std::span<std::uint8_t> left = out;
  while (!left.empty()) {
#if defined(_WIN32)
    const std::size_t part = std::min<std::size_t>(left.size(), 1u << 20);
    const bool ok =
        BCryptGenRandom(nullptr, left.data(), static_cast<ULONG>(part), BCRYPT_USE_SYSTEM_PREFERRED_RNG) == 0;
#elif defined(__APPLE__)
    const std::size_t part = std::min<std::size_t>(left.size(), 256);  // getentropy gives no more at once
    const bool ok = getentropy(left.data(), part) == 0;
#else
    const ssize_t got = getrandom(left.data(), left.size(), 0);
    if (got < 0 && errno == EINTR) continue;
    const bool ok = got > 0;
    const std::size_t part = ok ? static_cast<std::size_t>(got) : 0;
#endif
    if (!ok) {
      Cleanse(out.data(), out.size());
      return false;
    }
    left = left.subspan(part);
  }
  return true;
}

}  // namespace nomyo
