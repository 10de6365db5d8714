#include "core/memory/lock_policy.h"

namespace nomyo {
namespace {
thread_local LockPolicy current_policy = LockPolicy::kRequired;
}  // namespace

LockPolicy CurrentLockPolicy() noexcept {
  return current_policy;
}

LockPolicyScope::LockPolicyScope(LockPolicy policy) noexcept : former_(current_policy) {
  current_policy = policy;
}

LockPolicyScope::~LockPolicyScope() {
  current_policy = former_;
}

}  // namespace nomyo
