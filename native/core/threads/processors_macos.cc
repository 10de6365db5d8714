#if defined(__APPLE__)

#include <algorithm>
#include <thread>

#include "core/threads/processors.h"

namespace nomyo {

std::size_t UsableProcessors() {
  return std::max(std::thread::hardware_concurrency(), 1U);
}

}  // namespace nomyo

#else
#error "This file is for macOS: native/CMakeLists.txt takes each system's own."
#endif
