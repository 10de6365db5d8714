// The loops over text that JSON writing and reading spend their time in, with SIMD chosen when the program runs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace nomyo {

// FindStringStop returns the index of the first byte of `text` that a JSON string cannot simply go on over: a quote, a
// backslash or a control character (RFC 8259 section 7); text.size() when there is none.
std::size_t FindStringStop(std::span<const std::uint8_t> text) noexcept;

// AsciiPrefix returns how many bytes at the start of `text` are below 0x80.
std::size_t AsciiPrefix(std::span<const std::uint8_t> text) noexcept;

// CopyUntilEscape copies from `text` to `out` (of the same size at least) up to the first byte that JSON must escape
// (quote, backslash, control character) or, with `stop_at_non_ascii`, that is not ASCII. Returns how many were copied;
// bytes of `out` after these, up to text.size(), may have been overwritten.
std::size_t CopyUntilEscape(std::span<const std::uint8_t> text, std::uint8_t* out, bool stop_at_non_ascii) noexcept;

// CopyUntilEscape16 does so for UTF-16 code units: copies those that are ASCII and need no escape.
std::size_t CopyUntilEscape16(std::span<const char16_t> text, std::uint8_t* out) noexcept;

}  // namespace nomyo
