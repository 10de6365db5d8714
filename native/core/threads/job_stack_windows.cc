#if defined(_WIN32)

#include <windows.h>

#include <malloc.h>

#include <cstdint>

#include "core/memory/cleanse.h"
#include "core/memory/stack_wipe.h"
#include "core/threads/job_stack.h"

namespace nomyo {

// Windows finds a thread's stack through its environment block and grows it page by page, so the job stays on the
// thread's own stack, which is locked and wiped below this frame. memory_ only decides whether locking is possible.
void JobStack::Run(void (*function)(void*), void* argument) noexcept {
  static thread_local const bool locked_stack = [] {
    auto* below = static_cast<std::uint8_t*>(_alloca(kJobStackBytes));
    for (std::size_t at = kJobStackBytes; at >= 4096; at -= 4096) below[at - 1] = 0;  // commit from the top down
    return VirtualLock(below, kJobStackBytes) != 0;
  }();
  static_cast<void>(locked_stack);
  function(argument);
  Cleanse(_alloca(kJobStackBytes), kJobStackBytes);
  ClearVectorRegisters();
}

}  // namespace nomyo

#else
#error "This file is for Windows: native/CMakeLists.txt takes each system's own."
#endif
