#if defined(__APPLE__)

#include "core/threads/scheduling.h"

namespace nomyo {

void YieldToJavaScript() noexcept {}

}  // namespace nomyo

#else
#error "This file is for macOS: native/CMakeLists.txt takes each system's own."
#endif
