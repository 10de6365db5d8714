// JobStack: a stack of pool memory that work with secrets runs on, wiped after each job.
//
// The stack is switched, not the thread's own: a thread whose whole stack is memfd_secret memory cannot be joined or
// end (glibc waits on a futex in it, which the kernel cannot resolve there), and musl puts its thread descriptor there.
// Nothing but one call and its return happens across the switch, so a dozen instructions do what makecontext would,
// which musl does not have.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

#include "core/memory/locking.h"
#include "core/memory/secure_buffer.h"
#include "core/result.h"

namespace nomyo {

// kJobStackBytes is what a job may use. Measured: RSA generation, OAEP and PEM reading stay under 16 KiB
// (native/test/threads/executor_test.cc), a quote with a certified AIK under 32 KiB
// (native/test/attestation/certificate_test.cc). Nested JSON takes no stack. Sanitizers make frames larger.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr std::size_t kJobStackBytes = std::size_t{1024} * 1024;
#else
inline constexpr std::size_t kJobStackBytes = std::size_t{128} * 1024;
#endif

class JobStack {
 public:
  // Allocate locks the stack, whatever the locking asked for: the next job on it may be another client's. When it
  // cannot be locked that is an error under kRequired only. Errors: kMemoryLock, kOutOfMemory. Any thread.
  static Result<JobStack> Allocate(Locking locking);

  // Run calls `function(argument)` on this stack, then wipes the whole stack and the vector registers. The function
  // must not throw. One thread at a time.
  void Run(void (*function)(void*), void* argument) noexcept;

  bool locked() const { return memory_.locked(); }

  // bytes is the whole stack, for measuring how much of it a job touches: it is all zero between runs.
  std::span<const std::uint8_t> bytes() const { return memory_.bytes(); }

 private:
  explicit JobStack(SecureBuffer memory) : memory_(std::move(memory)) {}
  SecureBuffer memory_;
};

}  // namespace nomyo
