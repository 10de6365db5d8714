// The loops over text that JSON writing and reading spend their time in, with SIMD chosen when the program runs. Any
// thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace nomyo {

struct StringScan {
  std::size_t length;  // index of the closing quote
  bool escaped;        // a backslash is before it
  bool ascii;          // all bytes before it are below 0x80
};

// ScanString goes over the inside of a JSON string (RFC 8259 section 7), from after its first quote: `text` is all that
// follows. `length` is text.size() when there is no closing quote, or before it a control character or what is no
// escape; the rest means nothing then. It does not look at UTF-8.
StringScan ScanString(std::span<const std::uint8_t> text) noexcept;

// AsciiPrefix returns how many bytes at the start of `text` are below 0x80.
std::size_t AsciiPrefix(std::span<const std::uint8_t> text) noexcept;

struct TextProgress {
  std::size_t taken;    // of the input
  std::size_t written;  // to the output
};

// The most bytes that one byte of input becomes, and so the least that the output of the escaping functions must have.
inline constexpr std::size_t kMostEscaped = 6;

// EscapeLatin1 writes Latin-1 characters as the inside of a JSON string in UTF-8, escaped as JSON.stringify does it,
// until the input is taken or less than kMostEscaped bytes of output are left. Output after `written` may have been
// overwritten.
TextProgress EscapeLatin1(std::span<const std::uint8_t> text, std::span<std::uint8_t> out) noexcept;

// EscapeUtf8 does so for well-formed UTF-8.
TextProgress EscapeUtf8(std::span<const std::uint8_t> text, std::span<std::uint8_t> out) noexcept;

// CopyAsciiUnits narrows UTF-16 code units that are ASCII and need no escape, and returns how many at the start of
// `text` are: bytes of `out` (as long as `text`) after these may have been overwritten.
std::size_t CopyAsciiUnits(std::span<const char16_t> text, std::uint8_t* out) noexcept;

// PutEscape writes the escape of an ASCII character that must be escaped to `to`, which has room for kMostEscaped
// bytes, and returns where it ended; PutUnicodeEscape the \u form of any code unit.
std::uint8_t* PutEscape(std::uint8_t* to, std::uint32_t c) noexcept;
std::uint8_t* PutUnicodeEscape(std::uint8_t* to, std::uint32_t unit) noexcept;

// UnescapeLatin1 decodes the inside of a JSON string that ScanString and IsUtf8 have accepted, as long as its
// characters are below U+0100: it stops at the first that is not, when the input ends, or when `out` is full. An escape
// of half a surrogate pair is such a stop, too. Output after `written` may have been overwritten.
TextProgress UnescapeLatin1(std::span<const std::uint8_t> text, std::span<std::uint8_t> out) noexcept;

}  // namespace nomyo
