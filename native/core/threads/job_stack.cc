#include "core/threads/job_stack.h"

#include <utility>

#include "core/memory/fork_guard.h"

namespace nomyo {

Result<JobStack> JobStack::Allocate(LockPolicy locking) {
  LockPolicyScope locked(LockPolicy::kRequired);
  auto memory = SecureBuffer::Allocate(kJobStackBytes);
  if (!memory && locking != LockPolicy::kRequired && !InForkedChild()) {
    // Whether that matters shows when a job runs on it.
    LockPolicyScope unlocked(LockPolicy::kOff);
    memory = SecureBuffer::Allocate(kJobStackBytes);
  }
  if (!memory) return memory.error();
  return JobStack(std::move(*memory));
}

}  // namespace nomyo
