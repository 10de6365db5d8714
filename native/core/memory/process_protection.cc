#include "core/memory/process_protection.h"

#include <charconv>
#include <cstdio>
#include <cstring>
#include <system_error>

#if defined(__linux__)
#include <sys/prctl.h>
#endif
#if !defined(_WIN32)
#include <sys/resource.h>
#endif
#if defined(__APPLE__)
#include <sys/sysctl.h>
#endif

namespace nomyo {

Status HardenProcess() {
#if defined(_WIN32)
  return Error{Code::kUnsupported, "hardenProcess() is not supported on Windows."};
#else
  const rlimit none{0, 0};
  bool ok = setrlimit(RLIMIT_CORE, &none) == 0;
#if defined(__linux__)
  // The limit alone does not stop a dump that goes to a program (core_pattern with a pipe); this does.
  ok = prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0 && ok;
#endif
  if (!ok) return Error{Code::kUnsupported, "The system did not let this process turn its core dumps off."};
  return Status::Ok();
#endif
}

std::optional<bool> SwapEnabled() {
#if defined(__linux__)
  std::FILE* swaps = std::fopen("/proc/swaps", "re");
  if (swaps == nullptr) return std::nullopt;
  int lines = 0;  // a heading, and a line for each swap device
  for (int character = std::fgetc(swaps); character != EOF; character = std::fgetc(swaps)) lines += character == '\n';
  static_cast<void>(std::fclose(swaps));
  return lines > 1;
#elif defined(__APPLE__)
  xsw_usage usage{};
  std::size_t size = sizeof usage;
  if (sysctlbyname("vm.swapusage", &usage, &size, nullptr, 0) != 0) return std::nullopt;
  return usage.xsu_total > 0;
#else
  return std::nullopt;
#endif
}

std::optional<bool> CoreDumpsEnabled() {
#if defined(_WIN32)
  return std::nullopt;
#else
  rlimit limit{};
  if (getrlimit(RLIMIT_CORE, &limit) != 0) return std::nullopt;
  bool enabled = limit.rlim_cur != 0;
#if defined(__linux__)
  if (prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0) return false;
  // The kernel does not apply the limit to a dump that goes to a program.
  if (std::FILE* pattern = std::fopen("/proc/sys/kernel/core_pattern", "re")) {
    enabled = enabled || std::fgetc(pattern) == '|';
    static_cast<void>(std::fclose(pattern));
  }
#endif
  return enabled;
#endif
}

std::optional<int> PtraceScope() {
#if defined(__linux__)
  std::FILE* file = std::fopen("/proc/sys/kernel/yama/ptrace_scope", "re");
  if (file == nullptr) return std::nullopt;
  char text[16] = {};
  const bool read = std::fgets(text, sizeof text, file) != nullptr;
  static_cast<void>(std::fclose(file));
  int scope = 0;
  if (read && std::from_chars(text, text + std::strlen(text), scope).ec == std::errc()) return scope;
#endif
  return std::nullopt;
}

}  // namespace nomyo
