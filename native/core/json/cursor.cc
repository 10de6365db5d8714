#include "core/json/cursor.h"

#include <algorithm>

#include "core/json/text_scan.h"

namespace nomyo {

JsonCursor::JsonCursor(std::span<const std::uint8_t> text, std::span<const JsonString> long_strings,
                       const Cancellation* cancellation) noexcept
    : at_(text.data()), end_(text.data() + text.size()), cancellation_(cancellation), look_(at_) {
  const auto first = std::partition_point(long_strings.begin(), long_strings.end(),
                                          [this](const JsonString& string) { return string.raw.data() < at_; });
  long_strings_ = {first, long_strings.end()};
}

std::uint8_t JsonCursor::Peek() noexcept {
  while (at_ != end_ && (*at_ == ' ' || *at_ == '\n' || *at_ == '\r' || *at_ == '\t')) ++at_;
  return at_ == end_ ? std::uint8_t{0} : *at_;
}

bool JsonCursor::More(std::uint8_t closing) noexcept {
  if (at_ >= look_) {
    if (IsCancelled(cancellation_)) at_ = end_;
    look_ = at_ + std::min(kCancellationBytes, static_cast<std::size_t>(end_ - at_));
  }
  const std::uint8_t next = Peek();
  if (next == 0 || next == closing) {
    Take();
    return false;
  }
  if (next == ',') Take();
  return true;
}

JsonString JsonCursor::String() noexcept {
  Skip(1);
  const std::uint8_t* const first = at_;
  if (!long_strings_.empty() && long_strings_.front().raw.data() == first) {
    const JsonString& string = long_strings_.front();
    Skip(string.raw.size());
    Skip(1);
    long_strings_ = long_strings_.subspan(1);
    return string;
  }
  const StringScan scan = ScanString({at_, end_});
  if (scan.length == static_cast<std::size_t>(end_ - at_)) {
    // No string: what reads on from here must not take it for one.
    at_ = end_;
    return {{first, first}, false, true};
  }
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
    if (at_ >= look_) {
      if (IsCancelled(cancellation_)) at_ = end_;
      look_ = at_ + std::min(kCancellationBytes, static_cast<std::size_t>(end_ - at_));
    }
    switch (Peek()) {
      case '{':
      case '[':
        ++depth;
        ++at_;
        break;
      case '}':
      case ']':
        if (depth != 0) --depth;
        ++at_;
        break;
      case '"': String(); break;
      case ',':
      case ':': ++at_; break;
      case 't':
      case 'n': Word(4); break;
      case 'f': Word(5); break;
      default:
        if (Number().empty()) at_ = end_;
    }
  } while (depth != 0 && at_ != end_);
  return {first, at_};
}

}  // namespace nomyo
