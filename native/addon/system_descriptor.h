// The system's calls under addon/descriptor.h (system_descriptor_posix.cc and so on). JavaScript thread.
#pragma once

#include <cstdint>
#include <span>

#include "core/result.h"

namespace nomyo::addon {

// ReadWhatIsThere reads into `out`, which is not empty, and never waits: how many bytes; 0 at the end; -1 when nothing
// is there yet. kUnsupported, with the call that failed and why.
Result<std::int64_t> ReadWhatIsThere(int fd, std::span<std::uint8_t> out);

// SetTerminalEcho says whether the terminal shows what is typed; what was typed before is dropped. kUnsupported, with
// the call that failed and why.
Status SetTerminalEcho(int fd, bool on);

}  // namespace nomyo::addon
