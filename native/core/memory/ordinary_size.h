// OrdinarySize: how large a block of the C library's allocator is, so that it can be wiped before it is freed.
#pragma once

#include <cstddef>

namespace nomyo {

// OrdinarySize returns the usable bytes of what malloc gave. Any thread.
std::size_t OrdinarySize(void* memory) noexcept;

}  // namespace nomyo
