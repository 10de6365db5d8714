#if defined(__linux__)

#include <sys/random.h>

#include <cerrno>

#include "core/memory/kernel_random.h"

namespace nomyo {

std::size_t KernelRandomPart(std::span<std::uint8_t> out) noexcept {
  ssize_t got = 0;
  do {
    got = getrandom(out.data(), out.size(), 0);
  } while (got < 0 && errno == EINTR);
  return got > 0 ? static_cast<std::size_t>(got) : 0;
}

}  // namespace nomyo

#else
#error "This file is for Linux: native/CMakeLists.txt takes each system's own."
#endif
