#if defined(__APPLE__)

#include <unistd.h>

#include "core/memory/fork_guard.h"

namespace nomyo {
namespace {

pid_t Owner() noexcept {
  static const pid_t owner = getpid();
  return owner;
}

}  // namespace

void GuardForks() noexcept {
  static_cast<void>(Owner());
}

bool InForkedChild() noexcept {
  const pid_t owner = Owner();
  return getpid() != owner;
}

}  // namespace nomyo

#else
#error "This file is for macOS: native/CMakeLists.txt takes each system's own."
#endif
