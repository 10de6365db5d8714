// The three functions that Highway's run-time dispatch needs from its own library. Debian has that library as a shared
// object only, which a self-contained addon must not depend on; everything else of Highway is headers.
#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include <hwy/highway.h>
#include <hwy/targets.h>

namespace hwy {

#if HWY_ARCH_X86 && !HWY_COMPILER_MSVC
namespace {

// Which of the instruction sets that Highway builds for this processor and operating system have. The lists are those
// of Highway's detect_targets.h: a target may use any of its set. LZCNT is not asked for (clang 14 has no name for it):
// no processor with BMI2 is without it.
std::int64_t DetectTargets() {
  std::int64_t targets = HWY_STATIC_TARGET;
  const bool ssse3 = __builtin_cpu_supports("ssse3");
  const bool sse4 = ssse3 && __builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("pclmul") &&
                    __builtin_cpu_supports("aes") && __builtin_cpu_supports("popcnt");
  const bool avx2 = sse4 && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
                    __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2");
  const bool avx3 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512cd") &&
                    __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
                    __builtin_cpu_supports("avx512vl");
  if (ssse3) targets |= HWY_SSSE3;
  if (sse4) targets |= HWY_SSE4;
  if (avx2) targets |= HWY_AVX2;
  if (avx3) targets |= HWY_AVX3;
  return targets;
}

}  // namespace

std::int64_t SupportedTargets() {
  static const std::int64_t targets = DetectTargets();
  return targets;
}
#else
std::int64_t SupportedTargets() {
  return HWY_STATIC_TARGET;
}
#endif

ChosenTarget& GetChosenTarget() {
  static ChosenTarget chosen;
  return chosen;
}

// NOLINTBEGIN(cert-dcl50-cpp, cert-err33-c, clang-analyzer-valist.Uninitialized): Highway declares it as it is
// Highway calls this when one of its own preconditions does not hold (only checked in builds with sanitizers).
void Abort(const char* file, int line, const char* format, ...) {
  std::fprintf(stderr, "%s:%d: ", file, line);
  va_list arguments;
  va_start(arguments, format);
  std::vfprintf(stderr, format, arguments);
  va_end(arguments);
  std::abort();
}
// NOLINTEND(cert-dcl50-cpp, cert-err33-c, clang-analyzer-valist.Uninitialized)

}  // namespace hwy
