#include "core/json/check.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "core/json/text_scan.h"
#include "core/memory/secure_buffer.h"
#include "core/memory/secure_text.h"

namespace nomyo {
namespace {

constexpr std::uint8_t Closing(bool object) {
  return object ? '}' : ']';
}

class Checker {
 public:
  // `long_strings` has room for text.size() / kLongString.
  Checker(std::span<const std::uint8_t> text, JsonString* long_strings, const Cancellation* cancellation)
      : at_(text.data()),
        end_(text.data() + text.size()),
        look_(at_),
        long_strings_(long_strings),
        cancellation_(cancellation) {}

  // The kinds of the open containers, a bit each, are kept in pool memory: they are the plaintext's shape.
  bool Run(std::uint8_t* is_object, std::size_t max_depth) {
    std::size_t depth = 0;
    SkipSpace();
    if (at_ == end_ || *at_ != '{') return false;
    for (;;) {
      // A value is due.
      if (at_ >= look_) {
        if (IsCancelled(cancellation_)) return false;
        look_ = at_ + std::min(kCancellationBytes, static_cast<std::size_t>(end_ - at_));
      }
      SkipSpace();
      if (at_ == end_) return false;
      ++values_;
      if (*at_ == '{' || *at_ == '[') {
        if (depth == max_depth) return false;
        const bool object = *at_++ == '{';
        SetBit(is_object, depth++, object);
        SkipSpace();
        if (at_ != end_ && *at_ == Closing(object)) {
          ++at_;
          --depth;
        } else {
          if (object && !Key()) return false;
          continue;
        }
      } else if (!Scalar()) {
        return false;
      }
      // A value has ended: what its container goes on with.
      for (;;) {
        SkipSpace();
        if (depth == 0) return at_ == end_;
        if (at_ == end_) return false;
        const bool object = GetBit(is_object, depth - 1);
        const std::uint8_t c = *at_++;
        if (c == ',') {
          if (object && !Key()) return false;
          break;
        }
        if (c != Closing(object)) return false;
        --depth;
      }
    }
  }

  std::size_t values() const { return values_; }
  std::size_t long_strings() const { return long_count_; }
  bool ascii() const { return ascii_; }

 private:
  static void SetBit(std::uint8_t* bits, std::size_t i, bool value) {
    const auto mask = static_cast<std::uint8_t>(1u << (i % 8));
    bits[i / 8] = static_cast<std::uint8_t>(value ? bits[i / 8] | mask : bits[i / 8] & ~mask);
  }
  static bool GetBit(const std::uint8_t* bits, std::size_t i) { return (bits[i / 8] >> (i % 8) & 1) != 0; }

  void SkipSpace() {
    while (at_ != end_ && (*at_ == ' ' || *at_ == '\n' || *at_ == '\r' || *at_ == '\t')) ++at_;
  }

  bool Key() {
    SkipSpace();
    if (at_ == end_ || *at_ != '"' || !String()) return false;
    SkipSpace();
    return at_ != end_ && *at_++ == ':';
  }

  bool Scalar() {
    switch (*at_) {
      case '"': return String();
      case 't': return Word("true");
      case 'f': return Word("false");
      case 'n': return Word("null");
      default: return Number();
    }
  }

  bool Word(const char* word) {
    const std::size_t length = std::strlen(word);
    if (static_cast<std::size_t>(end_ - at_) < length || std::memcmp(at_, word, length) != 0) return false;
    at_ += length;
    return true;
  }

  bool String() {
    ++at_;
    const StringScan scan = ScanString({at_, end_});
    if (scan.length == static_cast<std::size_t>(end_ - at_)) return false;
    ascii_ = ascii_ && scan.ascii;
    if (scan.length >= kLongString) {
      long_strings_[long_count_++] = {{at_, scan.length}, scan.escaped, scan.ascii};
    }
    at_ += scan.length + 1;
    return true;
  }

  static bool IsDigit(std::uint8_t c) { return c >= '0' && c <= '9'; }

  bool Digits() {
    if (at_ == end_ || !IsDigit(*at_)) return false;
    while (at_ != end_ && IsDigit(*at_)) ++at_;
    return true;
  }

  bool Number() {
    if (*at_ == '-') ++at_;
    if (at_ == end_) return false;
    if (*at_ == '0') {
      ++at_;
    } else if (!Digits()) {
      return false;
    }
    if (at_ != end_ && *at_ == '.') {
      ++at_;
      if (!Digits()) return false;
    }
    if (at_ != end_ && (*at_ == 'e' || *at_ == 'E')) {
      ++at_;
      if (at_ != end_ && (*at_ == '+' || *at_ == '-')) ++at_;
      if (!Digits()) return false;
    }
    return true;
  }

  const std::uint8_t* at_;
  const std::uint8_t* end_;
  const std::uint8_t* look_;  // from here on the next look at `cancellation_` is due
  JsonString* long_strings_;
  const Cancellation* cancellation_;
  std::size_t long_count_ = 0;
  std::size_t values_ = 0;
  bool ascii_ = true;
};

}  // namespace

Result<JsonFacts> CheckJson(std::span<const std::uint8_t> text, std::size_t max_depth,
                            const Cancellation* cancellation) {
  auto bits = SecureBuffer::Allocate(max_depth / 8 + 1);
  if (!bits) return bits.error();
  auto memory = SecureBuffer::Allocate(text.size() / kLongString * sizeof(JsonString));
  if (!memory) return memory.error();
  auto* const long_strings = reinterpret_cast<JsonString*>(memory->data());
  Checker checker(text, long_strings, cancellation);
  // Outside of strings there is nothing but ASCII.
  const bool good = checker.Run(bits->data(), max_depth) && (checker.ascii() || IsUtf8(text));
  if (IsCancelled(cancellation)) return Error{Code::kCancelled, "The work was cancelled."};
  if (!good) {
    return Error{Code::kPlaintext,
                 "The package opens, but what is in it is not the JSON object that the protocol asks for."};
  }
  return JsonFacts{checker.values(), {long_strings, checker.long_strings()}, std::move(*memory)};
}

}  // namespace nomyo
