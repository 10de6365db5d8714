// LockFailure: the system call that did not lock memory, its error, and what that means. Whoever is told of it must be
// able to tell a limit that is reached from a filter that refuses the call: the remedies differ. Any thread.
#pragma once

#include <string>
#include <string_view>

namespace nomyo {

struct LockFailure {
  enum class Cause {
    kNone,         // nothing failed
    kLimit,        // the lock limit of the process is reached
    kJail,         // a filter of system calls, or another jail, refuses the call
    kUnavailable,  // this kernel does not have the call, or has it switched off
    kDescriptors,  // no file descriptor is left
    kMemory,       // the system has no memory or no mapping to give
  };

  const char* call = nullptr;  // a literal; null when nothing failed
  int error = 0;               // errno; on Windows what GetLastError() said
  Cause cause = Cause::kNone;

  explicit operator bool() const { return call != nullptr; }
};

// NameOf gives the cause as lib/native.ts lists it: "limit", "jail" and so on.
std::string_view NameOf(LockFailure::Cause cause);

// ErrorName gives an errno as its constant is called, "EPERM"; "error 1234" for one that is not in the table.
std::string ErrorName(int error);

// Text names call and error for people: "mlock: EPERM (1, Operation not permitted)".
std::string Text(const LockFailure& failure);

}  // namespace nomyo
