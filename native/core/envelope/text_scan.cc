#include "core/envelope/text_scan.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "core/envelope/text_scan.cc"
#include <hwy/foreach_target.h>
// foreach_target.h must come first.
#include <hwy/highway.h>

// Compiled once for each instruction set, but these are the same in all.
#ifndef NOMYO_TEXT_SCAN_SCALARS
#define NOMYO_TEXT_SCAN_SCALARS
namespace nomyo {
namespace {

inline bool MustEscape(std::uint32_t c) {
  return c == '"' || c == '\\' || c < 0x20;
}

inline int HexValue(std::uint8_t c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// What a two-character escape stands for; 0 for what is none.
inline std::uint8_t EscapedCharacter(std::uint8_t letter) {
  switch (letter) {
    case '"':
    case '\\':
    case '/': return letter;
    case 'b': return '\b';
    case 'f': return '\f';
    case 'n': return '\n';
    case 'r': return '\r';
    case 't': return '\t';
    default: return 0;
  }
}

// The length of the escape at the start of `in`; 0 when it is none.
inline std::size_t EscapeLength(const std::uint8_t* in, std::size_t size) {
  if (size < 2) return 0;
  if (in[1] != 'u') return EscapedCharacter(in[1]) == 0 ? 0 : 2;
  if (size < 6) return 0;
  for (int i = 2; i < 6; ++i) {
    if (HexValue(in[i]) < 0) return 0;
  }
  return 6;
}

// Writes one Latin-1 character that is not plain ASCII.
inline std::uint8_t* PutSpecial(std::uint8_t* to, std::uint8_t c) {
  if (c < 0x80) return PutEscape(to, c);
  *to++ = static_cast<std::uint8_t>(0xC0 | c >> 6);
  *to++ = static_cast<std::uint8_t>(0x80 | (c & 0x3F));
  return to;
}

// Decodes the escape or two-byte character at the start of `in` to one below U+0100; returns its length in the input,
// or 0 when it is not below.
inline std::size_t TakeLatin1(const std::uint8_t* in, std::uint8_t* out) {
  if (in[0] != '\\') {
    if (in[0] > 0xC3) return 0;
    *out = static_cast<std::uint8_t>(in[0] << 6 | (in[1] & 0x3F));
    return 2;
  }
  if (in[1] != 'u') {
    *out = EscapedCharacter(in[1]);
    return 2;
  }
  if (in[2] != '0' || in[3] != '0') return 0;
  *out = static_cast<std::uint8_t>(HexValue(in[4]) << 4 | HexValue(in[5]));
  return 6;
}

}  // namespace
}  // namespace nomyo
#endif

HWY_BEFORE_NAMESPACE();
namespace nomyo {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

using Bytes = hn::ScalableTag<std::uint8_t>;
using Units = hn::ScalableTag<std::uint16_t>;

template <class D, class V>
HWY_INLINE auto MustEscapeMask(D d, V text) {
  using T = hn::TFromD<D>;
  const auto quote = hn::Eq(text, hn::Set(d, static_cast<T>('"')));
  const auto backslash = hn::Eq(text, hn::Set(d, static_cast<T>('\\')));
  return hn::Or(hn::Or(quote, backslash), hn::Lt(text, hn::Set(d, static_cast<T>(0x20))));
}

std::size_t Scan(const std::uint8_t* in, std::size_t size, bool* escaped) {
  const Bytes d;
  const std::size_t lanes = hn::Lanes(d);
  std::size_t i = 0;
  *escaped = false;
  for (;;) {
    while (size - i >= lanes) {
      const std::intptr_t first = hn::FindFirstTrue(d, MustEscapeMask(d, hn::LoadU(d, in + i)));
      if (first >= 0) {
        i += static_cast<std::size_t>(first);
        break;
      }
      i += lanes;
    }
    while (i < size && !MustEscape(in[i])) ++i;
    if (i == size) return size;
    if (in[i] == '"') return i;
    if (in[i] != '\\') return size;
    const std::size_t length = EscapeLength(in + i, size - i);
    if (length == 0) return size;
    *escaped = true;
    i += length;
  }
}

std::size_t FindNonAscii(const std::uint8_t* in, std::size_t size) {
  const Bytes d;
  const std::size_t lanes = hn::Lanes(d);
  const auto limit = hn::Set(d, 0x7F);
  std::size_t i = 0;
  for (; size - i >= lanes; i += lanes) {
    const std::intptr_t first = hn::FindFirstTrue(d, hn::Gt(hn::LoadU(d, in + i), limit));
    if (first >= 0) return i + static_cast<std::size_t>(first);
  }
  while (i < size && in[i] < 0x80) ++i;
  return i;
}

// Characters up to `limit` that need no escape are copied a vector at a time; the others come in runs (accents in a
// word, line ends), so that each run is finished before the next vector is looked at.
TextProgress Escape(const std::uint8_t* in, std::size_t size, std::uint8_t* out, std::size_t room, std::uint8_t limit) {
  const Bytes d;
  const std::size_t lanes = hn::Lanes(d);
  const auto limits = hn::Set(d, limit);
  const std::uint8_t* const stop = out + room;
  std::uint8_t* to = out;
  std::size_t i = 0;
  const auto special = [limit](std::uint8_t c) { return c > limit || MustEscape(c); };
  for (;;) {
    while (size - i >= lanes && static_cast<std::size_t>(stop - to) >= lanes) {
      const auto text = hn::LoadU(d, in + i);
      hn::StoreU(text, d, to);
      const std::intptr_t first = hn::FindFirstTrue(d, hn::Or(MustEscapeMask(d, text), hn::Gt(text, limits)));
      const std::size_t plain = first < 0 ? lanes : static_cast<std::size_t>(first);
      i += plain;
      to += plain;
      if (first >= 0) break;
    }
    while (i < size && stop - to >= static_cast<std::ptrdiff_t>(kMostEscaped) && special(in[i])) {
      to = PutSpecial(to, in[i++]);
    }
    if (i == size || stop - to < static_cast<std::ptrdiff_t>(kMostEscaped)) break;
    if (size - i < lanes || static_cast<std::size_t>(stop - to) < lanes) {
      while (i < size && stop - to >= static_cast<std::ptrdiff_t>(kMostEscaped) && !special(in[i])) *to++ = in[i++];
    }
  }
  return {i, static_cast<std::size_t>(to - out)};
}

std::size_t CopyUnits(const char16_t* text, std::size_t size, std::uint8_t* out) {
  const Units d;
  const hn::Rebind<std::uint8_t, Units> narrow;
  const std::size_t lanes = hn::Lanes(d);
  const auto limit = hn::Set(d, 0x7F);
  const auto* in = reinterpret_cast<const std::uint16_t*>(text);
  std::size_t i = 0;
  for (; size - i >= lanes; i += lanes) {
    const auto units = hn::LoadU(d, in + i);
    const std::intptr_t first = hn::FindFirstTrue(d, hn::Or(MustEscapeMask(d, units), hn::Gt(units, limit)));
    // Demotion saturates from signed: what it spoils lies after `first`.
    hn::StoreU(hn::DemoteTo(narrow, hn::BitCast(hn::RebindToSigned<Units>(), units)), narrow, out + i);
    if (first >= 0) return i + static_cast<std::size_t>(first);
  }
  for (; i < size && !MustEscape(in[i]) && in[i] < 0x80; ++i) out[i] = static_cast<std::uint8_t>(in[i]);
  return i;
}

TextProgress Unescape(const std::uint8_t* in, std::size_t size, std::uint8_t* out, std::size_t room) {
  const Bytes d;
  const std::size_t lanes = hn::Lanes(d);
  const auto limit = hn::Set(d, 0x7F);
  const auto backslash = hn::Set(d, '\\');
  const std::uint8_t* const stop = out + room;
  std::uint8_t* to = out;
  std::size_t i = 0;
  const auto special = [](std::uint8_t c) { return c == '\\' || c >= 0x80; };
  for (;;) {
    while (size - i >= lanes && static_cast<std::size_t>(stop - to) >= lanes) {
      const auto text = hn::LoadU(d, in + i);
      hn::StoreU(text, d, to);
      const std::intptr_t first = hn::FindFirstTrue(d, hn::Or(hn::Eq(text, backslash), hn::Gt(text, limit)));
      const std::size_t plain = first < 0 ? lanes : static_cast<std::size_t>(first);
      i += plain;
      to += plain;
      if (first >= 0) break;
    }
    while (i < size && to != stop && special(in[i])) {
      const std::size_t length = TakeLatin1(in + i, to);
      if (length == 0) return {i, static_cast<std::size_t>(to - out)};
      i += length;
      ++to;
    }
    if (i == size || to == stop) break;
    if (size - i < lanes || static_cast<std::size_t>(stop - to) < lanes) {
      while (i < size && to != stop && !special(in[i])) *to++ = in[i++];
    }
  }
  return {i, static_cast<std::size_t>(to - out)};
}

}  // namespace HWY_NAMESPACE
}  // namespace nomyo
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace nomyo {
namespace {

HWY_EXPORT(Scan);
HWY_EXPORT(FindNonAscii);
HWY_EXPORT(Escape);
HWY_EXPORT(CopyUnits);
HWY_EXPORT(Unescape);

}  // namespace

std::size_t ScanString(std::span<const std::uint8_t> text, bool* escaped) noexcept {
  return HWY_DYNAMIC_DISPATCH(Scan)(text.data(), text.size(), escaped);
}

std::size_t AsciiPrefix(std::span<const std::uint8_t> text) noexcept {
  return HWY_DYNAMIC_DISPATCH(FindNonAscii)(text.data(), text.size());
}

TextProgress EscapeLatin1(std::span<const std::uint8_t> text, std::span<std::uint8_t> out) noexcept {
  return HWY_DYNAMIC_DISPATCH(Escape)(text.data(), text.size(), out.data(), out.size(), 0x7F);
}

TextProgress EscapeUtf8(std::span<const std::uint8_t> text, std::span<std::uint8_t> out) noexcept {
  return HWY_DYNAMIC_DISPATCH(Escape)(text.data(), text.size(), out.data(), out.size(), 0xFF);
}

std::size_t CopyAsciiUnits(std::span<const char16_t> text, std::uint8_t* out) noexcept {
  return HWY_DYNAMIC_DISPATCH(CopyUnits)(text.data(), text.size(), out);
}

TextProgress UnescapeLatin1(std::span<const std::uint8_t> text, std::span<std::uint8_t> out) noexcept {
  return HWY_DYNAMIC_DISPATCH(Unescape)(text.data(), text.size(), out.data(), out.size());
}

std::uint8_t* PutUnicodeEscape(std::uint8_t* to, std::uint32_t unit) noexcept {
  *to++ = '\\';
  *to++ = 'u';
  for (int shift = 12; shift >= 0; shift -= 4)
    *to++ = static_cast<std::uint8_t>("0123456789abcdef"[unit >> shift & 15]);
  return to;
}

std::uint8_t* PutEscape(std::uint8_t* to, std::uint32_t c) noexcept {
  char letter = 0;
  switch (c) {
    case '\b': letter = 'b'; break;
    case '\t': letter = 't'; break;
    case '\n': letter = 'n'; break;
    case '\f': letter = 'f'; break;
    case '\r': letter = 'r'; break;
    case '"': letter = '"'; break;
    case '\\': letter = '\\'; break;
    default: return PutUnicodeEscape(to, c);
  }
  *to++ = '\\';
  *to++ = static_cast<std::uint8_t>(letter);
  return to;
}

}  // namespace nomyo
#endif  // HWY_ONCE
