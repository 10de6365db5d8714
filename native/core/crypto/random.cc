#include "core/crypto/random.h"

#include <algorithm>
#include <cerrno>
#include <cstddef>

#if defined(_WIN32)
#include <windows.h>
// bcrypt.h needs windows.h before it.
#include <bcrypt.h>
#else
#include <sys/random.h>
#endif

#include "core/memory/cleanse.h"

namespace nomyo {
namespace {

// One call of the system; returns how many bytes it gave, or 0 when it failed.
std::size_t SystemRandom(std::uint8_t* out, std::size_t size) {
#if defined(_WIN32)
  const auto part = static_cast<ULONG>(std::min<std::size_t>(size, 1 << 20));
  return BCryptGenRandom(nullptr, out, part, BCRYPT_USE_SYSTEM_PREFERRED_RNG) == 0 ? part : 0;
#elif defined(__linux__)
  for (;;) {
    const ssize_t got = getrandom(out, size, 0);
    if (got > 0) return static_cast<std::size_t>(got);
    if (got < 0 && errno == EINTR) continue;
    return 0;
  }
#else
  const std::size_t part = std::min<std::size_t>(size, 256);  // getentropy's limit
  return getentropy(out, part) == 0 ? part : 0;
#endif
}

}  // namespace

Status FillRandom(std::span<std::uint8_t> out) {
  for (std::size_t done = 0; done < out.size();) {
    const std::size_t got = SystemRandom(out.data() + done, out.size() - done);
    if (got == 0) {
      Cleanse(out.data(), out.size());
      return Error{Code::kCrypto, "The operating system gave no random bytes."};
    }
    done += got;
  }
  return Status::Ok();
}

}  // namespace nomyo
