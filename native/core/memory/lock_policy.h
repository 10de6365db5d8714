// LockPolicy: what is done when memory cannot be locked. It belongs to a client, so it travels with the work: each
// allocation, OpenSSL's included, obeys the policy of the thread that makes it.
#pragma once

namespace nomyo {

enum class LockPolicy {
  kRequired,   // the allocation fails (Code::kMemoryLock)
  kPreferred,  // goes on in memory that is not locked, but not dumped and wiped all the same
  kOff,        // does not try to lock; wipes all the same
  kPublic,     // for what is no secret: locked while there is room, and nobody's concern when there is none
};

// CurrentLockPolicy returns the calling thread's policy: kRequired unless a LockPolicyScope says otherwise.
LockPolicy CurrentLockPolicy() noexcept;

// LockPolicyScope sets the calling thread's policy for its own lifetime, and puts the former one back.
class LockPolicyScope {
 public:
  explicit LockPolicyScope(LockPolicy locking) noexcept;
  ~LockPolicyScope();
  LockPolicyScope(const LockPolicyScope&) = delete;
  LockPolicyScope& operator=(const LockPolicyScope&) = delete;

 private:
  LockPolicy former_;
};

}  // namespace nomyo
