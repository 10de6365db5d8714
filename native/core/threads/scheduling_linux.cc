#if defined(__linux__)

#include "core/threads/scheduling.h"

#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>

namespace nomyo {
namespace {

// struct sched_attr of sched_setattr(2) in its first version, which glibc 2.36 does not declare.
struct SchedulingAttributes {
  std::uint32_t size;
  std::uint32_t policy;
  std::uint64_t flags;
  std::int32_t nice;
  std::uint32_t priority;
  std::uint64_t runtime;  // in ns; since Linux 6.12 the time slice of an ordinary thread
  std::uint64_t deadline;
  std::uint64_t period;
};
static_assert(sizeof(SchedulingAttributes) == 48);

}  // namespace

void YieldToJavaScript() noexcept {
  constexpr int kNiceness = 5;
  constexpr std::uint64_t kSliceNs = 3'500'000;
  // On Linux both are of the calling thread alone. A refusal only costs latency.
  static_cast<void>(setpriority(PRIO_PROCESS, 0, getpriority(PRIO_PROCESS, 0) + kNiceness));
  SchedulingAttributes attributes{};
  if (syscall(SYS_sched_getattr, 0, &attributes, sizeof attributes, 0) != 0) return;
  if (attributes.policy != SCHED_OTHER) return;  // somebody has chosen otherwise for this process
  attributes.size = sizeof attributes;
  attributes.flags = 0;
  attributes.runtime = kSliceNs;
  static_cast<void>(syscall(SYS_sched_setattr, 0, &attributes, 0));
}

}  // namespace nomyo

#else
#error "This file is for Linux: native/CMakeLists.txt takes each system's own."
#endif
