// Cleanse: wiping that the compiler may not remove.
#pragma once

#include <cstddef>

namespace nomyo {

// Cleanse overwrites `size` bytes at `data` with zeros. Any thread. Never fails; a size of zero does nothing.
void Cleanse(void* data, std::size_t size) noexcept;

}  // namespace nomyo
