#if defined(_WIN32)

#include "addon/system_descriptor.h"

namespace nomyo::addon {

Result<std::int64_t> ReadWhatIsThere(int, std::span<std::uint8_t>) {
  return Error{Code::kUnsupported, "Reading a secret from a descriptor is not supported on Windows."};
}

Status SetTerminalEcho(int, bool) {
  return Error{Code::kUnsupported, "Switching a terminal's echo off is not supported on Windows."};
}

}  // namespace nomyo::addon

#else
#error "This file is for Windows: native/CMakeLists.txt takes each system's own."
#endif
