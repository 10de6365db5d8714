// JsonCursor: walks JSON text that CheckJson has accepted. It does not check the text again, but whatever the bytes
// are, also when another thread changes them meanwhile, it reads none outside them, and it comes to their end: on other
// text only what it returns means nothing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "core/cancellation.h"

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
  // they are not gone over again. Once `cancellation` (which may be null) is cancelled, the text is at its end.
  explicit JsonCursor(std::span<const std::uint8_t> text, std::span<const JsonString> long_strings = {},
                      const Cancellation* cancellation = nullptr) noexcept;

  // Peek skips white space and returns the first byte of what comes next; 0 at the end.
  std::uint8_t Peek() noexcept;
  // Take skips the one byte that Peek returned: a brace, a bracket, a comma, a colon.
  void Take() noexcept { Skip(1); }
  // More stands after a container's opening byte, or after a value in it. It returns whether another one comes, and
  // steps over the comma before it, or else over the container's end, `closing`.
  bool More(std::uint8_t closing) noexcept;

  // Each of these stands before a value of its kind, and steps over it.
  JsonString String() noexcept;
  std::span<const std::uint8_t> Number() noexcept;
  void Word(std::size_t length) noexcept { Skip(length); }  // true, false, null
  std::span<const std::uint8_t> SkipValue() noexcept;       // any value; returns its text

  // position is where the cursor stands.
  const std::uint8_t* position() const noexcept { return at_; }

 private:
  void Skip(std::size_t count) noexcept {
    at_ += count <= static_cast<std::size_t>(end_ - at_) ? count : static_cast<std::size_t>(end_ - at_);
  }

  const std::uint8_t* at_;
  const std::uint8_t* end_;
  std::span<const JsonString> long_strings_;  // those that are not passed yet
  const Cancellation* cancellation_;
  const std::uint8_t* look_;  // from here on the next look at `cancellation_` is due
};

}  // namespace nomyo
