#if defined(_WIN32)

#include "core/memory/fork_guard.h"

namespace nomyo {

// Windows has no fork.
void GuardForks() noexcept {}

bool InForkedChild() noexcept {
  return false;
}

}  // namespace nomyo

#else
#error "This file is for Windows: native/CMakeLists.txt takes each system's own."
#endif
