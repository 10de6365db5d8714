#if defined(_WIN32)

#include "core/memory/process_protection.h"

namespace nomyo {

Status HardenProcess() {
  return Error{Code::kUnsupported, "Turning core dumps off is not supported on Windows."};
}

std::optional<bool> SwapEnabled() {
  return std::nullopt;
}

std::optional<bool> CoreDumpsEnabled() {
  return std::nullopt;
}

std::optional<int> PtraceScope() {
  return std::nullopt;
}

}  // namespace nomyo

#else
#error "This file is for Windows: native/CMakeLists.txt takes each system's own."
#endif
