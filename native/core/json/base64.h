// Base64 (RFC 4648 section 4: the standard alphabet, padded), with SIMD chosen when the program runs. Any thread.
//
// Decoding is strict and canonical (section 3.5): there is exactly one text for each byte string.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace nomyo {

constexpr std::size_t Base64EncodedSize(std::size_t bytes) noexcept {
  return (bytes + 2) / 3 * 4;
}

// Base64Encode writes Base64EncodedSize(bytes.size()) characters to `out`, which must not overlap `bytes`.
void Base64Encode(std::span<const std::uint8_t> bytes, char* out) noexcept;

// Base64DecodedSize returns how many bytes `text` stands for, going by its length and padding alone; nothing when the
// length is no multiple of 4.
std::optional<std::size_t> Base64DecodedSize(std::string_view text) noexcept;

// Base64Decode writes the bytes of `text` to `out`, which does not overlap it. The padding follows from the two sizes:
// returns false unless `out` has exactly Base64DecodedSize(text) bytes, and for any character outside the alphabet
// (white space too), or bits set that belong to no byte; `out` then holds garbage, which the caller wipes or drops. If
// another thread changes the text meanwhile, nothing outside `text` is read and nothing outside `out` is written.
bool Base64Decode(std::string_view text, std::span<std::uint8_t> out) noexcept;

// Base64Target names the instruction set in use, e.g. "AVX3", for the benchmark.
const char* Base64Target() noexcept;

}  // namespace nomyo
