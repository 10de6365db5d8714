// Cleanse: wiping that the compiler may not remove.
#pragma once

#include <cstddef>

namespace nomyo {

// Cleanse overwrites `size` bytes at `data` with zeros. Any thread. Never fails; a size of zero does nothing.
//
// It uses the C library's own wiping call, which runs at the speed of memset: OPENSSL_cleanse stores eight bytes at a
// time, and every free of the pool pays for it.
void Cleanse(void* data, std::size_t size) noexcept;

}  // namespace nomyo
