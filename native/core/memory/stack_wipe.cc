#include "core/memory/stack_wipe.h"

#include "core/memory/cleanse.h"

#if defined(_MSC_VER)
#include <intrin.h>
#include <malloc.h>
#endif

#if defined(__GNUC__)
// The stack below is no frame of a live function, whatever a sanitizer remembers of it.
#define NOMYO_OWN_FRAME __attribute__((noinline, no_sanitize_address))
#elif defined(_MSC_VER)
#define NOMYO_OWN_FRAME __declspec(noinline)
#else
#error "Say how this compiler keeps a function from being inlined."
#endif

namespace nomyo {
namespace {

#if defined(__GNUC__) && defined(__x86_64__)

__attribute__((target("avx"))) void ClearAvx() {
  __asm__ volatile("vzeroall" ::
                       : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10",
                         "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");
}

// vzeroall clears registers 0 to 15 in full width; the others exist with AVX-512 only.
__attribute__((target("avx512f"))) void ClearAvx512() {
  __asm__ volatile(
      "vpxord %%zmm16, %%zmm16, %%zmm16\n\tvpxord %%zmm17, %%zmm17, %%zmm17\n\t"
      "vpxord %%zmm18, %%zmm18, %%zmm18\n\tvpxord %%zmm19, %%zmm19, %%zmm19\n\t"
      "vpxord %%zmm20, %%zmm20, %%zmm20\n\tvpxord %%zmm21, %%zmm21, %%zmm21\n\t"
      "vpxord %%zmm22, %%zmm22, %%zmm22\n\tvpxord %%zmm23, %%zmm23, %%zmm23\n\t"
      "vpxord %%zmm24, %%zmm24, %%zmm24\n\tvpxord %%zmm25, %%zmm25, %%zmm25\n\t"
      "vpxord %%zmm26, %%zmm26, %%zmm26\n\tvpxord %%zmm27, %%zmm27, %%zmm27\n\t"
      "vpxord %%zmm28, %%zmm28, %%zmm28\n\tvpxord %%zmm29, %%zmm29, %%zmm29\n\t"
      "vpxord %%zmm30, %%zmm30, %%zmm30\n\tvpxord %%zmm31, %%zmm31, %%zmm31" ::
          : "xmm16", "xmm17", "xmm18", "xmm19", "xmm20", "xmm21", "xmm22", "xmm23", "xmm24", "xmm25", "xmm26", "xmm27",
            "xmm28", "xmm29", "xmm30", "xmm31");
}

#endif

}  // namespace

void ClearVectorRegisters() noexcept {
#if defined(__GNUC__) && defined(__x86_64__)
  static const bool has_avx = __builtin_cpu_supports("avx") != 0;
  static const bool has_avx512 = __builtin_cpu_supports("avx512f") != 0;
  if (has_avx) {
    ClearAvx();
  } else {
    __asm__ volatile(
        "pxor %%xmm0, %%xmm0\n\tpxor %%xmm1, %%xmm1\n\tpxor %%xmm2, %%xmm2\n\tpxor %%xmm3, %%xmm3\n\t"
        "pxor %%xmm4, %%xmm4\n\tpxor %%xmm5, %%xmm5\n\tpxor %%xmm6, %%xmm6\n\tpxor %%xmm7, %%xmm7\n\t"
        "pxor %%xmm8, %%xmm8\n\tpxor %%xmm9, %%xmm9\n\tpxor %%xmm10, %%xmm10\n\tpxor %%xmm11, %%xmm11\n\t"
        "pxor %%xmm12, %%xmm12\n\tpxor %%xmm13, %%xmm13\n\tpxor %%xmm14, %%xmm14\n\tpxor %%xmm15, %%xmm15" ::
            : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12",
              "xmm13", "xmm14", "xmm15");
  }
  if (has_avx512) ClearAvx512();
#elif defined(__GNUC__) && defined(__aarch64__)
  // Of v8 to v15 the lower halves are the caller's (AAPCS64, 6.1.2): the compiler saves and restores them, and to load
  // the lower half of a register zeroes its upper one.
  __asm__ volatile(
      "movi v0.2d, #0\n\tmovi v1.2d, #0\n\tmovi v2.2d, #0\n\tmovi v3.2d, #0\n\tmovi v4.2d, #0\n\tmovi v5.2d, #0\n\t"
      "movi v6.2d, #0\n\tmovi v7.2d, #0\n\tmovi v8.2d, #0\n\tmovi v9.2d, #0\n\tmovi v10.2d, #0\n\tmovi v11.2d, #0\n\t"
      "movi v12.2d, #0\n\tmovi v13.2d, #0\n\tmovi v14.2d, #0\n\tmovi v15.2d, #0\n\tmovi v16.2d, #0\n\t"
      "movi v17.2d, #0\n\tmovi v18.2d, #0\n\tmovi v19.2d, #0\n\tmovi v20.2d, #0\n\tmovi v21.2d, #0\n\t"
      "movi v22.2d, #0\n\tmovi v23.2d, #0\n\tmovi v24.2d, #0\n\tmovi v25.2d, #0\n\tmovi v26.2d, #0\n\t"
      "movi v27.2d, #0\n\tmovi v28.2d, #0\n\tmovi v29.2d, #0\n\tmovi v30.2d, #0\n\tmovi v31.2d, #0" ::
          : "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8", "v9", "v10", "v11", "v12", "v13", "v14", "v15", "v16",
            "v17", "v18", "v19", "v20", "v21", "v22", "v23", "v24", "v25", "v26", "v27", "v28", "v29", "v30", "v31");
#elif defined(_MSC_VER) && defined(_M_X64)
  _mm256_zeroall();
#else
#error "Write ClearVectorRegisters for this processor: secrets must not be left in its registers."
#endif
}

NOMYO_OWN_FRAME void WipeFramesBelow() noexcept {
#if defined(_MSC_VER)
  void* below = _alloca(kWipedStackBytes);
#else
  void* below = __builtin_alloca(kWipedStackBytes);
#endif
  Cleanse(below, kWipedStackBytes);
  ClearVectorRegisters();
}

}  // namespace nomyo
