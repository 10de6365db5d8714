// Wiping the stack and the registers of a thread that is not the package's own.
#include "core/memory/stack_wipe.h"

#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <cstring>
#include <new>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace nomyo {
namespace {

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)

// Leaves a pattern in a frame that is gone when it returns, `depth` calls down.
__attribute__((noinline)) void LeaveSecret(int depth) {
  volatile std::uint64_t secret[256];
  for (auto& word : secret) word = 0x5ec2e75ec2e75ec2;
  if (depth > 0) LeaveSecret(depth - 1);
  static_cast<void>(secret[0]);
}

// Counts the pattern in the stack below the caller.
__attribute__((noinline)) std::size_t CountBelow() {
  const auto* below = static_cast<const std::uint64_t*>(__builtin_alloca(kWipedStackBytes - 8192));
  std::size_t count = 0;
  // The assembly could have written there. Otherwise clang takes what was never written to be what it likes, and counts
  // nothing at all; and two calls are not one.
  __asm__ volatile("" ::"r"(below) : "memory");
  for (std::size_t at = 0; at < (kWipedStackBytes - 8192) / 8; ++at) {
    std::uint64_t word = 0;
    std::memcpy(&word, below + at, 8);
    count += word == 0x5ec2e75ec2e75ec2;
  }
  return count;
}

TEST(WipeStackBelow, LeavesNothingOfWhatWasCalledBefore) {
  LeaveSecret(20);
  EXPECT_GT(CountBelow(), 4000u);  // the search works
  LeaveSecret(20);
  WipeStackBelow();
  EXPECT_EQ(CountBelow(), 0u);
}

__attribute__((noinline)) void LeaveSecretAndThrow() {
  LeaveSecret(20);
  throw std::bad_alloc();
}

__attribute__((noinline)) void WipeAfterwards() {
  const StackWipe wipe;
  LeaveSecretAndThrow();
}

TEST(StackWipe, LeavesNothingWhenAnExceptionEndsTheWork) {
  EXPECT_THROW(LeaveSecretAndThrow(), std::bad_alloc);
  EXPECT_GT(CountBelow(), 1000u);  // unwinding alone leaves it there
  EXPECT_THROW(WipeAfterwards(), std::bad_alloc);
  EXPECT_EQ(CountBelow(), 0u);
}

#endif

#if defined(__x86_64__)

TEST(ClearVectorRegisters, LeavesZeros) {
  std::array<std::uint8_t, 16> found[16];
  __asm__ volatile("pcmpeqd %%xmm0, %%xmm0\n\tpcmpeqd %%xmm5, %%xmm5\n\tpcmpeqd %%xmm15, %%xmm15\n\t" ::
                       : "xmm0", "xmm5", "xmm15");
  ClearVectorRegisters();
  __asm__ volatile("movdqu %%xmm0, 0(%0)\n\tmovdqu %%xmm5, 80(%0)\n\tmovdqu %%xmm15, 240(%0)\n\t" ::"r"(found)
                   : "memory");
  for (const int at : {0, 5, 15}) {
    EXPECT_EQ(found[at], (std::array<std::uint8_t, 16>{})) << at;
  }
}

__attribute__((target("avx512f"))) void CheckAvx512() {
  alignas(64) std::uint64_t found[8];
  __asm__ volatile("vpternlogd $0xff, %%zmm20, %%zmm20, %%zmm20\n\t" ::: "xmm20");
  ClearVectorRegisters();
  __asm__ volatile("vmovdqa64 %%zmm20, (%0)" ::"r"(found) : "memory");
  for (const std::uint64_t word : found) EXPECT_EQ(word, 0u);
}

TEST(ClearVectorRegisters, ClearsThoseOfAvx512) {
  if (!__builtin_cpu_supports("avx512f")) GTEST_SKIP() << "this processor has no AVX-512";
  CheckAvx512();
}

#elif defined(__aarch64__)

TEST(ClearVectorRegisters, LeavesZerosAndTheCallersHalves) {
  using Register = std::array<std::uint64_t, 2>;
  Register found[6];
  const auto* ones = "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff";
  __asm__ volatile(
      "ldr q0, [%0]\n\tldr q7, [%0]\n\tldr q8, [%0]\n\tldr q15, [%0]\n\tldr q16, [%0]\n\tldr q31, [%0]" ::"r"(ones)
      : "v0", "v7", "v8", "v15", "v16", "v31", "memory");
  ClearVectorRegisters();
  __asm__ volatile(
      "str q0, [%0]\n\tstr q7, [%0, #16]\n\tstr q8, [%0, #32]\n\tstr q15, [%0, #48]\n\tstr q16, [%0, #64]\n\t"
      "str q31, [%0, #80]" ::"r"(found)
      : "memory");
  for (const int at : {0, 1, 4, 5}) EXPECT_EQ(found[at], (Register{0, 0})) << at;
  // Of v8 to v15 the lower halves are the caller's (AAPCS64, 6.1.2).
  for (const int at : {2, 3}) EXPECT_EQ(found[at], (Register{~std::uint64_t{0}, 0})) << at;
}

#endif

}  // namespace
}  // namespace nomyo
