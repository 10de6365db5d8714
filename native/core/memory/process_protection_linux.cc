#if defined(__linux__)

#include "core/memory/process_protection.h"

#include <sys/prctl.h>
#include <sys/resource.h>

#include <charconv>
#include <cstdio>
#include <cstring>
#include <system_error>

namespace nomyo {

Status HardenProcess() {
  const rlimit none{0, 0};
  bool ok = setrlimit(RLIMIT_CORE, &none) == 0;
  // The limit alone does not stop a dump that goes to a program (core_pattern with a pipe); this does.
  ok = prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0 && ok;
  if (!ok) return Error{Code::kUnsupported, "The system did not let this process turn its core dumps off."};
  return Status::Ok();
}

std::optional<bool> SwapEnabled() {
  std::FILE* swaps = std::fopen("/proc/swaps", "re");
  if (swaps == nullptr) return std::nullopt;
  int lines = 0;  // a heading, and a line for each swap device
  for (int character = std::fgetc(swaps); character != EOF; character = std::fgetc(swaps)) lines += character == '\n';
  static_cast<void>(std::fclose(swaps));
  return lines > 1;
}

std::optional<bool> CoreDumpsEnabled() {
  rlimit limit{};
  if (getrlimit(RLIMIT_CORE, &limit) != 0) return std::nullopt;
  if (prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0) return false;
  bool enabled = limit.rlim_cur != 0;
  // The kernel does not apply the limit to a dump that goes to a program.
  if (std::FILE* pattern = std::fopen("/proc/sys/kernel/core_pattern", "re")) {
    enabled = enabled || std::fgetc(pattern) == '|';
    static_cast<void>(std::fclose(pattern));
  }
  return enabled;
}

std::optional<int> PtraceScope() {
  std::FILE* file = std::fopen("/proc/sys/kernel/yama/ptrace_scope", "re");
  if (file == nullptr) return std::nullopt;
  char text[16] = {};
  const bool read = std::fgets(text, sizeof text, file) != nullptr;
  static_cast<void>(std::fclose(file));
  int scope = 0;
  if (read && std::from_chars(text, text + std::strlen(text), scope).ec == std::errc()) return scope;
  return std::nullopt;
}

}  // namespace nomyo

#else
#error "This file is for Linux: native/CMakeLists.txt takes each system's own."
#endif
