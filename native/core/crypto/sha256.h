// SHA-256 (FIPS 180-4).
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "core/result.h"

namespace nomyo {

inline constexpr std::size_t kSha256Bytes = 32;

// Sha256 returns the digest of `data`. Any thread. Errors: kCrypto, kMemoryLock, kOutOfMemory.
Result<std::array<std::uint8_t, kSha256Bytes>> Sha256(std::span<const std::uint8_t> data);

}  // namespace nomyo
