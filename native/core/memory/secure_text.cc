#include "core/memory/secure_text.h"

#include <cstring>
#include <utility>

namespace nomyo {
namespace {

constexpr char32_t kNone = 0xffffffff;

bool IsHighSurrogate(char16_t unit) {
  return (unit & 0xfc00) == 0xd800;
}

bool IsLowSurrogate(char16_t unit) {
  return (unit & 0xfc00) == 0xdc00;
}

// Next takes one code point from the front of `text`; kNone for a lone surrogate.
char32_t Next(std::span<const char16_t>& text) {
  const char16_t first = text[0];
  if (IsHighSurrogate(first) && text.size() > 1 && IsLowSurrogate(text[1])) {
    const char32_t point = 0x10000 + ((static_cast<char32_t>(first) & 0x3ff) << 10) + (text[1] & 0x3ff);
    text = text.subspan(2);
    return point;
  }
  if (IsHighSurrogate(first) || IsLowSurrogate(first)) return kNone;
  text = text.subspan(1);
  return first;
}

std::size_t LengthOf(char32_t point) {
  return point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
}

}  // namespace

Result<SecureBuffer> Utf8FromUtf16(std::span<const char16_t> text) {
  std::size_t length = 0;
  for (auto left = text; !left.empty();) {
    const char32_t point = Next(left);
    if (point == kNone) {
      return Error{Code::kUtf8, "The text holds half of a surrogate pair, which has no UTF-8 form."};
    }
    length += LengthOf(point);
  }
  auto buffer = SecureBuffer::Allocate(length);
  if (!buffer) return buffer;
  std::uint8_t* out = buffer->data();
  for (auto left = text; !left.empty();) {
    const char32_t point = Next(left);
    const std::size_t count = LengthOf(point);
    if (count == 1) {
      *out++ = static_cast<std::uint8_t>(point);
      continue;
    }
    constexpr std::uint8_t kLead[] = {0, 0, 0xc0, 0xe0, 0xf0};
    *out++ = static_cast<std::uint8_t>(kLead[count] | point >> (6 * (count - 1)));
    for (std::size_t rest = count - 1; rest-- > 0;) {
      *out++ = static_cast<std::uint8_t>(0x80 | (point >> (6 * rest) & 0x3f));
    }
  }
  return buffer;
}

bool IsUtf8(std::span<const std::uint8_t> bytes) noexcept {
  std::size_t at = 0;
  while (at < bytes.size()) {
    std::uint64_t eight = 0;
    if (bytes.size() - at >= 8) {
      std::memcpy(&eight, &bytes[at], 8);
      if ((eight & 0x8080808080808080) == 0) {
        at += 8;
        continue;
      }
    }
    const std::uint8_t lead = bytes[at];
    if (lead < 0x80) {
      ++at;
      continue;
    }
    // RFC 3629 section 4: the second byte's range depends on the lead, which rules out long forms and surrogates.
    const std::size_t more = lead >= 0xc2 && lead <= 0xdf   ? 1
                             : (lead & 0xf0) == 0xe0        ? 2
                             : lead >= 0xf0 && lead <= 0xf4 ? 3
                                                            : 0;
    if (more == 0 || bytes.size() - at <= more) return false;
    const std::uint8_t least = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
    const std::uint8_t most = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
    if (bytes[at + 1] < least || bytes[at + 1] > most) return false;
    for (std::size_t rest = 2; rest <= more; ++rest) {
      if ((bytes[at + rest] & 0xc0) != 0x80) return false;
    }
    at += more + 1;
  }
  return true;
}

}  // namespace nomyo
