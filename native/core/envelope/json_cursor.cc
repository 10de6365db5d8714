#include "core/envelope/json_cursor.h"

#include <algorithm>

#include "core/envelope/text_scan.h"

namespace nomyo {

JsonCursor::JsonCursor(std::span<const std::uint8_t> text, std::span<const JsonString> long_strings) noexcept
    : at_(text.data()), end_(text.data() + text.size()) {
  const auto first = std::partition_point(long_strings.begin(), long_strings.end(),
                                          [this](const JsonString& string) { return string.raw.data() < at_; });
  long_strings_ = {first, long_strings.end()};
}

std::uint8_t JsonCursor::Peek() noexcept {
  while (at_ != end_ && (*at_ == ' ' || *at_ == '\n' || *at_ == '\r' || *at_ == '\t')) ++at_;
  return at_ == end_ ? std::uint8_t{0} : *at_;
}

JsonString JsonCursor::String() noexcept {
  const std::uint8_t* const first = ++at_;
  if (!long_strings_.empty() && long_strings_.front().raw.data() == first) {
    const JsonString& string = long_strings_.front();
    at_ += string.raw.size() + 1;
    long_strings_ = long_strings_.subspan(1);
    return string;
  }
  const StringScan scan = ScanString({at_, end_});
  at_ += scan.length + 1;
  return {{first, scan.length}, scan.escaped, scan.ascii};
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
