// Where BulkMemory's large blocks come from (large_blocks_linux.cc and so on): by themselves, and for as long as it
// pays back to where they came from. Any thread.
#pragma once

#include <cstddef>
#include <cstdint>

namespace nomyo {

// So much of what is freed is kept for the next blocks, in bytes, where blocks are kept.
inline constexpr std::size_t kKeptLargeBytes = std::size_t{64} << 20;

// TakeLargeBlock returns at least `size` bytes, aligned to 16, or null when there is no memory. `size` becomes what it
// is.
std::uint8_t* TakeLargeBlock(std::size_t& size) noexcept;

// GiveLargeBlock takes back what TakeLargeBlock gave, with the size that it had.
void GiveLargeBlock(std::uint8_t* data, std::size_t size) noexcept;

}  // namespace nomyo
