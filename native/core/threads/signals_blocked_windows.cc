#if defined(_WIN32)

#include "core/threads/signals_blocked.h"

namespace nomyo {

SignalsBlocked::SignalsBlocked(Which) noexcept : former_{} {}

SignalsBlocked::~SignalsBlocked() = default;

}  // namespace nomyo

#else
#error "This file is for Windows: native/CMakeLists.txt takes each system's own."
#endif
