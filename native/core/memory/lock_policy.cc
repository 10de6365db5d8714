#include "core/memory/lock_policy.h"

namespace nomyo {
namespace {
thread_local LockPolicy current_locking = LockPolicy::kRequired;
}  // namespace

LockPolicy CurrentLockPolicy() noexcept {
  return current_locking;
}

LockPolicyScope::LockPolicyScope(LockPolicy locking) noexcept : former_(current_locking) {
  current_locking = locking;
}

LockPolicyScope::~LockPolicyScope() {
  current_locking = former_;
}

}  // namespace nomyo
