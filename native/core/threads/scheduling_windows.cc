#if defined(_WIN32)

#include "core/threads/scheduling.h"

namespace nomyo {

void YieldToJavaScript() noexcept {}

}  // namespace nomyo

#else
#error "This file is for Windows: native/CMakeLists.txt takes each system's own."
#endif
