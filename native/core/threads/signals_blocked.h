// SignalsBlocked: no signal is handled on this thread while one lives, nor on the threads that it starts meanwhile.
#pragma once

namespace nomyo {

// For threads of the package's own: the program's handlers are for the program's threads. One thread; does nothing on
// Windows, which has no such signals.
class SignalsBlocked {
 public:
  enum Which {
    kAll,
    kAllButFaults,  // SIGSEGV and its like come from the thread's own doing, and must end the process
  };
  explicit SignalsBlocked(Which which) noexcept;
  ~SignalsBlocked();
  SignalsBlocked(const SignalsBlocked&) = delete;
  SignalsBlocked& operator=(const SignalsBlocked&) = delete;

 private:
  // The signal mask that there was; the system's type does not belong into a header.
  alignas(16) unsigned char former_[128];
};

}  // namespace nomyo
