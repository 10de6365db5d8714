// JsonCursor: walks JSON text that CheckJson or ReadPackage has accepted. It checks nothing: on other text its
// behaviour is undefined.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace nomyo {

// A string as it stands in the text, between its quotes.
struct JsonString {
  std::span<const std::uint8_t> raw;
  bool escaped;  // holds a backslash
  bool ascii;    // all its bytes are below 0x80
};

class JsonCursor {
 public:
  // `text` is the whole or a value of it; `long_strings` are those that CheckJson has listed of the whole (or none):
  // they are not gone over again.
  explicit JsonCursor(std::span<const std::uint8_t> text, std::span<const JsonString> long_strings = {}) noexcept;

  // Peek skips white space and returns the first byte of what comes next; 0 at the end.
  std::uint8_t Peek() noexcept;
  // Take skips the one byte that Peek returned: a brace, a bracket, a comma, a colon.
  void Take() noexcept { ++at_; }

  // Each of these stands before a value of its kind, and steps over it.
  JsonString String() noexcept;
  std::span<const std::uint8_t> Number() noexcept;
  void Word(std::size_t length) noexcept { at_ += length; }  // true, false, null
  std::span<const std::uint8_t> SkipValue() noexcept;        // any value; returns its text

 private:
  const std::uint8_t* at_;
  const std::uint8_t* end_;
  std::span<const JsonString> long_strings_;  // those that are not passed yet
};

}  // namespace nomyo
