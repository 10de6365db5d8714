// What a JSON string stands for, and what a JSON number does. Any thread; a StringDecoder is for one at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "core/json/cursor.h"

namespace nomyo {

// StringDecoder gives the UTF-16 code units of a JSON string piece by piece, exactly as JSON.parse understands it (lone
// surrogates from \u escapes included).
class StringDecoder {
 public:
  explicit StringDecoder(std::span<const std::uint8_t> raw) : at_(raw.data()), end_(raw.data() + raw.size()) {}

  // Next writes up to out.size() (at least 2) code units and returns how many; 0 at the end of the string.
  std::size_t Next(std::span<char16_t> out) noexcept;

  // NextLatin1 does so for characters up to U+00FF, a byte each; if it meets one above, it returns nothing and stays
  // where it was, and the same piece is Next's.
  std::optional<std::size_t> NextLatin1(std::span<std::uint8_t> out) noexcept;

  bool done() const noexcept { return at_ == end_; }

 private:
  const std::uint8_t* at_;
  const std::uint8_t* end_;
};

// MostUtf16Units returns how many code units the string takes at most (exactly, when it has no escapes), 2 at least:
// room for StringDecoder::Next to finish at one go.
std::size_t MostUtf16Units(std::span<const std::uint8_t> raw) noexcept;

// DecodeUtf8 writes the string as UTF-8 to `out`, which has raw.size() bytes (UTF-8 is never longer than its escaped
// form), and returns the length. A lone surrogate becomes its three generalised bytes (WTF-8) and sets `*lone`.
std::size_t DecodeUtf8(std::span<const std::uint8_t> raw, std::uint8_t* out, bool* lone) noexcept;

// CompareText compares what two strings stand for, byte by byte as WTF-8, without memory for either: below zero, zero
// or above it, as `a` comes before, with or after `b`. IsText returns whether a string stands for `plain`.
int CompareText(const JsonString& a, const JsonString& b) noexcept;
bool IsText(const JsonString& string, std::string_view plain) noexcept;

// FoldsTo returns whether a parser that is not strict about names may take the string for `plain`, which is lower-case
// ASCII: case is ignored with Unicode's simple folding (beyond ASCII, U+017F folds to s and U+212A to k; no other
// character folds to an ASCII letter), and so are '_' and '-'. True for `plain` itself.
bool FoldsTo(const JsonString& string, std::string_view plain) noexcept;

// ParseNumber returns the double nearest to a JSON number, as JSON.parse does: -0 stays -0, too large is infinite.
double ParseNumber(std::span<const std::uint8_t> digits) noexcept;

}  // namespace nomyo
