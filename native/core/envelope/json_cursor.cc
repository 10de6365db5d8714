#include "core/envelope/json_cursor.h"

#include "core/envelope/text_scan.h"

namespace nomyo {

std::uint8_t JsonCursor::Peek() noexcept {
  while (at_ != end_ && (*at_ == ' ' || *at_ == '\n' || *at_ == '\r' || *at_ == '\t')) ++at_;
  return at_ == end_ ? std::uint8_t{0} : *at_;
}

JsonString JsonCursor::String() noexcept {
  const std::uint8_t* const first = ++at_;
  bool escaped = false;
  at_ += ScanString({at_, end_}, &escaped);
  const JsonString string{{first, at_}, escaped};
  ++at_;
  return string;
}

std::span<const std::uint8_t> JsonCursor::Number() noexcept {
  const std::uint8_t* const first = at_;
  while (at_ != end_ &&
         ((*at_ >= '0' && *at_ <= '9') || *at_ == '-' || *at_ == '+' || *at_ == '.' || *at_ == 'e' || *at_ == 'E')) {
    ++at_;
  }
  return {first, at_};
}

std::span<const std::uint8_t> JsonCursor::SkipValue() noexcept {
  std::size_t depth = 0;
  Peek();
  const std::uint8_t* const first = at_;
  do {
    switch (Peek()) {
      case '{':
      case '[':
        ++depth;
        ++at_;
        break;
      case '}':
      case ']':
        --depth;
        ++at_;
        break;
      case '"': String(); break;
      case ',':
      case ':': ++at_; break;
      case 't':
      case 'n': Word(4); break;
      case 'f': Word(5); break;
      default: Number();
    }
  } while (depth != 0);
  return {first, at_};
}

}  // namespace nomyo
