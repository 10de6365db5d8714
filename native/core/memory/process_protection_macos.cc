#if defined(__APPLE__)

#include "core/memory/process_protection.h"

#include <sys/resource.h>
#include <sys/sysctl.h>

#include <cstddef>

namespace nomyo {

Status HardenProcess() {
  const rlimit none{0, 0};
  if (setrlimit(RLIMIT_CORE, &none) == 0) return Status::Ok();
  return Error{Code::kUnsupported, "The system did not let this process turn its core dumps off."};
}

std::optional<bool> SwapEnabled() {
  xsw_usage usage{};
  std::size_t size = sizeof usage;
  if (sysctlbyname("vm.swapusage", &usage, &size, nullptr, 0) != 0) return std::nullopt;
  return usage.xsu_total > 0;
}

std::optional<bool> CoreDumpsEnabled() {
  rlimit limit{};
  if (getrlimit(RLIMIT_CORE, &limit) != 0) return std::nullopt;
  return limit.rlim_cur != 0;
}

std::optional<int> PtraceScope() {
  return std::nullopt;
}

}  // namespace nomyo

#else
#error "This file is for macOS: native/CMakeLists.txt takes each system's own."
#endif
