// How often the calling thread has asked for memory with `new`, so that a test can say "no more for more input".
#pragma once

#include <cstddef>

namespace nomyo {

// Counts since the thread began; always 0 under a sanitizer, which has its own `new`.
std::size_t AllocationCount() noexcept;

}  // namespace nomyo
