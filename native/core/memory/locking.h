// Locking: what is done when memory cannot be locked. It belongs to a client, so it travels with the work: each
// allocation, OpenSSL's included, obeys the locking of the thread that makes it.
#pragma once

namespace nomyo {

enum class Locking {
  kRequired,   // the allocation fails (Code::kMemoryLock)
  kPreferred,  // goes on in memory that is not locked, but not dumped and wiped all the same
  kOff,        // does not try to lock; wipes all the same
  kPublic,     // for what is no secret: locked while there is room, and nobody's concern when there is none
};

// CurrentLocking returns what holds for the calling thread: kRequired unless a LockingScope says otherwise.
Locking CurrentLocking() noexcept;

// LockingScope sets it for the calling thread and its own lifetime, and puts the former one back.
class LockingScope {
 public:
  explicit LockingScope(Locking locking) noexcept;
  ~LockingScope();
  LockingScope(const LockingScope&) = delete;
  LockingScope& operator=(const LockingScope&) = delete;

 private:
  Locking former_;
};

}  // namespace nomyo
