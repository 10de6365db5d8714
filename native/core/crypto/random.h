// Random bytes from the operating system, straight into the caller's memory.
//
// Not OpenSSL's DRBG: its state is a secret that would have to be guarded as well (docs/memory.md).
#pragma once

#include <cstdint>
#include <span>

#include "core/result.h"

namespace nomyo {

// FillRandom fills `out` with random bytes fit for keys (getrandom, getentropy or BCryptGenRandom). Any thread.
// On failure (kCrypto) `out` is zero.
Status FillRandom(std::span<std::uint8_t> out);

}  // namespace nomyo
