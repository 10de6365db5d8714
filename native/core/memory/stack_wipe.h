// Wiping what a computation left behind on the stack and in the vector registers of the thread that calls. Any thread.
#pragma once

#include <cstddef>

namespace nomyo {

// kWipedStackBytes is what WipeStackBelow() clears: several times the deepest use that sealing and OpenSSL's AES-GCM
// and public-key RSA make of the stack (measured by native/test/threads/executor_test.cc).
inline constexpr std::size_t kWipedStackBytes = std::size_t{64} * 1024;

// WipeFramesBelow overwrites kWipedStackBytes below its own frame, and the vector registers. In its own frame words may
// be left that its compiler had no use for.
void WipeFramesBelow() noexcept;

// WipeStackBelow overwrites kWipedStackBytes below the caller's frame, and the vector registers; with GCC and clang
// every word, with MSVC all but some of WipeFramesBelow's frame. Called last, from the function that called the work,
// by a thread that is not the package's own (the JavaScript thread after sealing): then every frame of the work lay
// below. It needs that much stack to be left. Any thread; costs about two microseconds.
inline void WipeStackBelow() noexcept {
  WipeFramesBelow();
  // A part of the caller, so that no frame is between: 512 bytes, of which that function's frame takes some 100. (A
  // caller has no red zone below its stack pointer, since it calls.)
#if defined(__GNUC__) && defined(__x86_64__)
  std::size_t words = 64;
  __asm__ volatile("0:\n\tpushq $0\n\tdecq %0\n\tjne 0b\n\taddq $512, %%rsp" : "+r"(words)::"cc", "memory");
#elif defined(__GNUC__) && defined(__aarch64__)
  std::size_t pairs = 32;
  __asm__ volatile("0:\n\tstp xzr, xzr, [sp, #-16]!\n\tsubs %0, %0, #1\n\tb.ne 0b\n\tadd sp, sp, #512"
                   : "+r"(pairs)::"cc", "memory");
#endif
}

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
