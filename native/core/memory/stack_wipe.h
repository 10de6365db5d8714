// Wiping what a computation left behind on a stack and in the processor's vector registers.
#pragma once

#include <cstddef>

namespace nomyo {

// kWipedStackBytes is what WipeStackBelow() clears: several times the deepest use that sealing and OpenSSL's AES-GCM
// and public-key RSA make of the stack (measured by native/test/threads/executor_test.cc).
inline constexpr std::size_t kWipedStackBytes = std::size_t{64} * 1024;

// WipeStackBelow overwrites kWipedStackBytes below the caller's frame, and the vector registers. Called last, from the
// function that called the work, by a thread that is not the package's own (the JavaScript thread after sealing): then
// every frame of the work lay below. It needs that much stack to be left. Any thread; costs about two microseconds.
void WipeStackBelow() noexcept;

// StackWipe does that when it goes, also when an exception is why. Its owner must not be inlined into the work's frame,
// nor the work into its owner's.
class StackWipe {
 public:
  StackWipe() = default;
  ~StackWipe() { WipeStackBelow(); }
  StackWipe(const StackWipe&) = delete;
  StackWipe& operator=(const StackWipe&) = delete;
};

// ClearVectorRegisters zeroes the vector registers that a function may change. AES leaves round keys there, from where
// they could get into a signal frame or a core dump's register notes. Any thread.
void ClearVectorRegisters() noexcept;

}  // namespace nomyo
