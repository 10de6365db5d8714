#include "core/threads/job_stack.h"

#include <utility>

#include "core/memory/fork_guard.h"

namespace nomyo {

Result<JobStack> JobStack::Allocate(Locking locking) {
  LockingScope locked(Locking::kRequired);
  auto memory = SecureBuffer::Allocate(kJobStackBytes);
  if (!memory && locking != Locking::kRequired && !InForkedChild()) {
    // Whether that matters shows when a job runs on it.
    LockingScope unlocked(Locking::kOff);
    memory = SecureBuffer::Allocate(kJobStackBytes);
  }
  if (!memory) return memory.error();
  return JobStack(std::move(*memory));
}

}  // namespace nomyo
