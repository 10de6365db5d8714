#include "core/json/string.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "core/json/text_scan.h"
#include "core/json/utf8.h"
#include "core/memory/cleanse.h"

namespace nomyo {
namespace {

std::uint32_t Hex4(const std::uint8_t* at) {
  std::uint32_t value = 0;
  for (int i = 0; i < 4; ++i) {
    const std::uint32_t c = at[i];
    value = value << 4 | (c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
  }
  return value;
}

// The code point (or lone surrogate half) of the escape at `at`, which it steps over. A pair is one code point.
// What no escape is (text that changed after it was checked) becomes U+FFFD, and the end is never passed.
std::uint32_t TakeEscape(const std::uint8_t*& at, const std::uint8_t* end) {
  if (end - at < 2 || (at[1] == 'u' && end - at < 6)) {
    at = end;
    return 0xFFFD;
  }
  const std::uint8_t letter = at[1];
  at += 2;
  switch (letter) {
    case 'b': return '\b';
    case 'f': return '\f';
    case 'n': return '\n';
    case 'r': return '\r';
    case 't': return '\t';
    case 'u': break;
    default: return letter;
  }
  const std::uint32_t unit = Hex4(at);
  at += 4;
  if (unit < 0xD800 || unit > 0xDBFF || end - at < 6 || at[0] != '\\' || at[1] != 'u') return unit;
  const std::uint32_t low = Hex4(at + 2);
  if (low < 0xDC00 || low > 0xDFFF) return unit;
  at += 6;
  return 0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00);
}

std::uint32_t TakeUtf8(const std::uint8_t*& at, const std::uint8_t* end) {
  const std::uint32_t lead = *at++;
  if (lead < 0x80) return lead;
  const int more = lead < 0xE0 ? 1 : lead < 0xF0 ? 2 : 3;
  if (end - at < more) {
    at = end;
    return 0xFFFD;
  }
  std::uint32_t point = lead & (0x3Fu >> more);
  for (int i = 0; i < more; ++i) point = point << 6 | (*at++ & 0x3Fu);
  return point;
}

}  // namespace

std::size_t StringDecoder::Next(std::span<char16_t> out) noexcept {
  std::size_t written = 0;
  while (at_ != end_ && out.size() - written >= 2) {
    const std::uint32_t point = *at_ == '\\' ? TakeEscape(at_, end_) : TakeUtf8(at_, end_);
    if (point < 0x10000) {
      out[written++] = static_cast<char16_t>(point);
    } else {
      out[written++] = static_cast<char16_t>(0xD800 + ((point - 0x10000) >> 10));
      out[written++] = static_cast<char16_t>(0xDC00 + ((point - 0x10000) & 0x3FF));
    }
  }
  return written;
}

std::size_t MostUtf16Units(std::span<const std::uint8_t> raw) noexcept {
  // Every byte but those that continue a character is a unit; the lead of four bytes is two. One more, since Next stops
  // where there is no room for a pair.
  std::size_t units = 1;
  for (const std::uint8_t byte : raw) {
    units += static_cast<std::size_t>((byte & 0xC0) != 0x80) + static_cast<std::size_t>(byte >= 0xF0);
  }
  return std::max<std::size_t>(units, 2);
}

std::optional<std::size_t> StringDecoder::NextLatin1(std::span<std::uint8_t> out) noexcept {
  const TextProgress progress = UnescapeLatin1({at_, end_}, out);
  if (progress.written != out.size() && at_ + progress.taken != end_) return std::nullopt;
  at_ += progress.taken;
  return progress.written;
}

std::size_t DecodeUtf8(std::span<const std::uint8_t> raw, std::uint8_t* out, bool* lone) noexcept {
  const std::uint8_t* at = raw.data();
  const std::uint8_t* const end = at + raw.size();
  std::uint8_t* to = out;
  *lone = false;
  while (at != end) {
    const auto* backslash = static_cast<const std::uint8_t*>(std::memchr(at, '\\', static_cast<std::size_t>(end - at)));
    const auto plain = static_cast<std::size_t>((backslash == nullptr ? end : backslash) - at);
    std::memcpy(to, at, plain);
    to += plain;
    at += plain;
    if (at == end) break;
    const std::uint32_t point = TakeEscape(at, end);
    if (point >= 0xD800 && point <= 0xDFFF) *lone = true;
    to = PutUtf8(to, point);
  }
  return static_cast<std::size_t>(to - out);
}

namespace {

// TextBytes gives what a string stands for as WTF-8, a byte at a time.
class TextBytes {
 public:
  explicit TextBytes(const JsonString& string) : at_(string.raw.data()), end_(at_ + string.raw.size()) {}

  // The next byte; -1 at the end.
  int Next() {
    if (given_ != ready_) return bytes_[given_++];
    if (at_ == end_) return -1;
    if (*at_ != '\\') return *at_++;
    ready_ = static_cast<std::size_t>(PutUtf8(bytes_, TakeEscape(at_, end_)) - bytes_);
    given_ = 1;
    return bytes_[0];
  }

 private:
  const std::uint8_t* at_;
  const std::uint8_t* end_;
  std::uint8_t bytes_[4] = {};
  std::size_t given_ = 0;
  std::size_t ready_ = 0;
};

}  // namespace

int CompareText(const JsonString& a, const JsonString& b) noexcept {
  TextBytes left(a);
  TextBytes right(b);
  for (;;) {
    const int l = left.Next();
    const int r = right.Next();
    if (l != r) return l < r ? -1 : 1;
    if (l < 0) return 0;
  }
}

bool IsText(const JsonString& string, std::string_view plain) noexcept {
  const auto& raw = string.raw;
  if (!string.escaped) return raw.size() == plain.size() && std::memcmp(raw.data(), plain.data(), plain.size()) == 0;
  // Escapes only make a text longer.
  if (raw.size() < plain.size()) return false;
  TextBytes bytes(string);
  for (const char c : plain) {
    if (bytes.Next() != static_cast<std::uint8_t>(c)) return false;
  }
  return bytes.Next() < 0;
}

bool FoldsTo(const JsonString& string, std::string_view plain) noexcept {
  TextBytes bytes(string);
  // The next byte that counts, folded; -1 at the end, -2 for what folds to no ASCII letter.
  const auto next = [&bytes]() -> int {
    for (;;) {
      const int byte = bytes.Next();
      if (byte == '_' || byte == '-') continue;
      if (byte >= 'A' && byte <= 'Z') return byte + ('a' - 'A');
      if (byte < 0x80) return byte;
      if (byte == 0xC5) return bytes.Next() == 0xBF ? 's' : -2;
      if (byte == 0xE2) return bytes.Next() == 0x84 && bytes.Next() == 0xAA ? 'k' : -2;
      return -2;
    }
  };
  for (const char c : plain) {
    if (c != '_' && c != '-' && next() != static_cast<std::uint8_t>(c)) return false;
  }
  return next() == -1;
}

double ParseNumber(std::span<const std::uint8_t> digits) noexcept {
  // Rewritten as a whole number and an exponent, without a point, so that no locale changes what strtod reads.
  // (from_chars does without both, but GCC 10's library, which releases are linked with, and macOS' have it for
  // integers only.) The halfway points between doubles have at most 767 significant digits: of those beyond kKept it
  // counts only whether one is not 0.
  constexpr std::size_t kKept = 800;
  constexpr std::int64_t kFar = 1'000'000'000'000'000;  // more than the digits that fit in memory
  std::array<char, kKept + 32> text;
  std::size_t kept = 0;
  std::int64_t exponent = 0;
  bool more = false;
  bool fraction = false;

  auto at = digits.begin();
  const auto end = digits.end();
  const bool negative = at != end && *at == '-';
  if (negative) ++at;
  for (; at != end && *at != 'e' && *at != 'E'; ++at) {
    if (*at == '.') {
      fraction = true;
      continue;
    }
    if (kept == 0 && *at == '0') {
      if (fraction) --exponent;
    } else if (kept < kKept) {
      text[kept++] = static_cast<char>(*at);
      if (fraction) --exponent;
    } else {
      if (*at != '0') more = true;
      if (!fraction) ++exponent;
    }
  }
  if (at != end && ++at != end) {
    const bool small = *at == '-';
    if (*at == '-' || *at == '+') ++at;
    std::int64_t written = 0;
    for (; at != end && written < kFar; ++at) written = written * 10 + (*at - '0');
    exponent += small ? -written : written;
  }
  if (kept == 0) return negative ? -0.0 : 0.0;

  std::size_t used = kept;
  if (more) {
    text[used++] = '1';
    --exponent;
  }
  // Far outside of what a double can be, and far enough for any number of digits that was kept.
  exponent = std::clamp<std::int64_t>(exponent, -99'999, 99'999);
  const int length = std::snprintf(text.data() + used, text.size() - used, "e%d", static_cast<int>(exponent));
  const double value = std::strtod(text.data(), nullptr);
  Cleanse(text.data(), used + static_cast<std::size_t>(length));
  return negative ? -value : value;
}

}  // namespace nomyo
