#include "core/json/text_scan.h"

#include <array>
#include <bit>
#include <cstring>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "core/json/text_scan.cc"
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

// What a two-character escape stands for, by its letter; 0 for what is none.
constexpr std::array<std::uint8_t, 256> MakeEscapedCharacters() {
  std::array<std::uint8_t, 256> characters{};
  characters['"'] = '"';
  characters['\\'] = '\\';
  characters['/'] = '/';
  characters['b'] = '\b';
  characters['f'] = '\f';
  characters['n'] = '\n';
  characters['r'] = '\r';
  characters['t'] = '\t';
  return characters;
}
inline constexpr std::array<std::uint8_t, 256> kEscapedCharacters = MakeEscapedCharacters();

// What a Latin-1 character that is not plain ASCII is written as, with its length: eight bytes are stored at once, so
// that the processor need not guess which kind it is.
struct Written {
  std::uint8_t bytes[7];
  std::uint8_t length;
};
constexpr std::array<Written, 256> MakeWritten() {
  std::array<Written, 256> all{};
  for (unsigned c = 0; c < 256; ++c) {
    std::uint8_t* const to = all[c].bytes;
    if (c >= 0x80) {
      to[0] = static_cast<std::uint8_t>(0xC0 | c >> 6);
      to[1] = static_cast<std::uint8_t>(0x80 | (c & 0x3F));
      all[c].length = 2;
      continue;
    }
    to[0] = '\\';
    to[1] = 'u';
    to[2] = to[3] = '0';
    to[4] = static_cast<std::uint8_t>("0123456789abcdef"[c >> 4]);
    to[5] = static_cast<std::uint8_t>("0123456789abcdef"[c & 15]);
    all[c].length = 6;
  }
  for (unsigned letter = 0; letter < 256; ++letter) {
    const std::uint8_t c = kEscapedCharacters[letter];
    if (c == 0 || c == '/') continue;
    all[c] = {{'\\', static_cast<std::uint8_t>(letter), 0, 0, 0, 0, 0}, 2};
  }
  return all;
}
inline constexpr std::array<Written, 256> kWritten = MakeWritten();

inline bool IsHex4(const std::uint8_t* in, std::size_t size) {
  return size >= 4 && HexValue(in[0]) >= 0 && HexValue(in[1]) >= 0 && HexValue(in[2]) >= 0 && HexValue(in[3]) >= 0;
}

// The length of the escape at the start of `in`; 0 when it is none.
inline std::size_t EscapeLength(const std::uint8_t* in, std::size_t size) {
  if (size < 2) return 0;
  if (in[1] != 'u') return kEscapedCharacters[in[1]] == 0 ? 0 : 2;
  return IsHex4(in + 2, size - 2) ? 6 : 0;
}

// Decodes the escape or two-byte character at the start of `in` to one below U+0100; returns its length in the input,
// or 0 when it is not below, or cut off by the end.
inline std::size_t TakeLatin1(const std::uint8_t* in, std::size_t size, std::uint8_t* out) {
  if (size < 2) return 0;
  if (in[0] != '\\') {
    if (in[0] > 0xC3) return 0;
    *out = static_cast<std::uint8_t>(in[0] << 6 | (in[1] & 0x3F));
    return 2;
  }
  if (in[1] != 'u') {
    *out = kEscapedCharacters[in[1]];
    return 2;
  }
  if (size < 6 || in[2] != '0' || in[3] != '0') return 0;
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

// At most 64 bytes, so that a mask fits into one word (vectors may be longer on Arm).
using Bytes = hn::CappedTag<std::uint8_t, 64>;
using Units = hn::ScalableTag<std::uint16_t>;

template <class D, class V>
HWY_INLINE auto MustEscapeMask(D d, V text) {
  using T = hn::TFromD<D>;
  const auto quote = hn::Eq(text, hn::Set(d, static_cast<T>('"')));
  const auto backslash = hn::Eq(text, hn::Set(d, static_cast<T>('\\')));
  return hn::Or(hn::Or(quote, backslash), hn::Lt(text, hn::Set(d, static_cast<T>(0x20))));
}

// A mask's lanes as bits, the first lane lowest. Going over the bits costs one mispredicted branch for each vector, at
// the end; looking for the first lane again and again costs one for each special character.
template <class D, class M>
HWY_INLINE std::uint64_t Bits(D d, M mask) {
  std::uint8_t bytes[8] = {};
  hn::StoreMaskBits(d, mask, bytes);
  std::uint64_t bits = 0;
  if constexpr (std::endian::native == std::endian::little) {
    std::memcpy(&bits, bytes, sizeof bits);
  } else {
    for (int i = 7; i >= 0; --i) bits = bits << 8 | bytes[i];
  }
  return bits;
}

// The bits from lane `first` on.
HWY_INLINE std::uint64_t From(std::uint64_t bits, std::size_t first) {
  return first >= 64 ? 0 : bits & (~std::uint64_t{0} << first);
}

HWY_INLINE std::size_t LowestBit(std::uint64_t bits) {
  return hwy::Num0BitsBelowLS1Bit_Nonzero64(bits);
}

#if HWY_TARGET != HWY_SCALAR

template <class D, class V>
HWY_INLINE bool IsAscii(D d, V bytes) {
  return hn::AllFalse(d, hn::Gt(bytes, hn::Set(d, 0x7F)));
}

// Which lanes may follow a backslash: a letter is one when the bit sets of its two halves have something in common.
template <class D, class V>
HWY_INLINE auto EscapeLetterMask(D d, V text) {
  // High halves: 2 (" and /), 5 (\\), 6 (b f n), 7 (r t u).
  alignas(16) static constexpr std::uint8_t kHighHalf[16] = {0, 0, 1, 0, 0, 2, 4, 8};
  alignas(16) static constexpr std::uint8_t kLowHalf[16] = {0, 0, 1 | 4 | 8, 0, 8, 8, 4, 0, 0, 0, 0, 0, 2, 0, 4, 1};
  const auto high = hn::TableLookupBytes(hn::LoadDup128(d, kHighHalf), hn::ShiftRight<4>(text));
  const auto low = hn::TableLookupBytes(hn::LoadDup128(d, kLowHalf), hn::And(text, hn::Set(d, 0x0F)));
  return hn::Ne(hn::And(high, low), hn::Zero(d));
}

// The lanes that follow a backslash which is not escaped itself. `*pending` is whether the first lane is one, and
// becomes whether the next vector's first lane is. A run of backslashes escapes what follows it when its length is odd,
// that is, when it ends on lanes of the other parity than it starts on: adding a run's first bit to it carries to the
// lane after its end. (G. Langdale, D. Lemire, "Parsing gigabytes of JSON per second", VLDB Journal 28, 2019, 3.1.1.)
HWY_INLINE std::uint64_t EscapedLanes(std::uint64_t backslashes, std::size_t lanes, bool* pending) {
  constexpr std::uint64_t kEven = 0x5555555555555555;
  const std::uint64_t first = *pending ? 1 : 0;
  backslashes &= ~first;
  const std::uint64_t starts = backslashes & ~(backslashes << 1);
  const std::uint64_t after_even = (backslashes + (starts & kEven)) & ~backslashes;
  const std::uint64_t after_odd = (backslashes + (starts & ~kEven)) & ~backslashes;
  *pending = std::countl_one(backslashes << (64 - lanes)) % 2 != 0;
  const std::uint64_t all = ~std::uint64_t{0} >> (64 - lanes);
  return (first | (after_even & ~kEven) | (after_odd & kEven)) & all;
}

#endif

StringScan Scan(const std::uint8_t* in, std::size_t size) {
  const StringScan none{size, false, false};
  std::size_t i = 0;
  bool escaped = false;
  bool ascii = true;
#if HWY_TARGET != HWY_SCALAR
  const Bytes d;
  const std::size_t lanes = hn::Lanes(d);
  bool pending = false;
  auto seen = hn::Zero(d);
  for (; size - i >= lanes; i += lanes) {
    const auto text = hn::LoadU(d, in + i);
    const std::uint64_t special = Bits(d, MustEscapeMask(d, text));
    if (special == 0 && !pending) {
      seen = hn::Or(seen, text);
      continue;
    }
    const std::uint64_t quotes = Bits(d, hn::Eq(text, hn::Set(d, '"')));
    const std::uint64_t backslashes = Bits(d, hn::Eq(text, hn::Set(d, '\\')));
    const std::uint64_t after = EscapedLanes(backslashes, lanes, &pending);
    const std::uint64_t end = quotes & ~after;
    // The lanes before the closing quote; all of them when it is not here.
    const std::uint64_t inside = end == 0 ? ~std::uint64_t{0} : (end & (0 - end)) - 1;
    // What must be escaped and is neither quote nor backslash is a control character.
    if ((special & ~quotes & ~backslashes & inside) != 0) return none;
    std::uint64_t letters = after & inside;
    if (letters != 0) {
      if ((letters & ~Bits(d, EscapeLetterMask(d, text))) != 0) return none;
      letters &= Bits(d, hn::Eq(text, hn::Set(d, 'u')));
      for (; letters != 0; letters &= letters - 1) {
        const std::size_t at = i + LowestBit(letters);
        if (!IsHex4(in + at + 1, size - at - 1)) return none;
      }
    }
    escaped = escaped || (backslashes & inside) != 0;
    if (end != 0) {
      const std::uint64_t beyond = Bits(d, hn::Gt(text, hn::Set(d, 0x7F))) & inside;
      return {i + LowestBit(end), escaped, beyond == 0 && IsAscii(d, seen)};
    }
    seen = hn::Or(seen, text);
  }
  ascii = IsAscii(d, seen);
  if (pending) --i;  // back to the backslash
#endif
  while (i < size) {
    ascii = ascii && in[i] < 0x80;
    if (!MustEscape(in[i])) {
      ++i;
      continue;
    }
    if (in[i] == '"') return {i, escaped, ascii};
    const std::size_t length = in[i] == '\\' ? EscapeLength(in + i, size - i) : 0;
    if (length == 0) return none;
    escaped = true;
    i += length;
  }
  return none;
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

// Characters up to `limit` that need no escape are copied, a whole vector at a time from wherever one ended; what is
// copied too much is overwritten by what comes next.
TextProgress Escape(const std::uint8_t* in, std::size_t size, std::uint8_t* out, std::size_t room, std::uint8_t limit) {
  const Bytes d;
  const std::size_t lanes = hn::Lanes(d);
  const auto limits = hn::Set(d, limit);
  const std::uint8_t* const stop = out + room;
  std::uint8_t* to = out;
  std::size_t i = 0;
  // A vector is read up to a vector further on, and written as escapes at most, then copied too much of.
  const std::size_t most = lanes * (kMostEscaped + 1) + sizeof(Written);
  while (size - i >= 2 * lanes && static_cast<std::size_t>(stop - to) >= most) {
    const auto text = hn::LoadU(d, in + i);
    hn::StoreU(text, d, to);
    std::uint64_t bits = Bits(d, hn::Or(MustEscapeMask(d, text), hn::Gt(text, limits)));
    std::size_t copied = 0;
    while (bits != 0) {
      const std::size_t at = LowestBit(bits);
      to += at - copied;
      const Written& written = kWritten[in[i + at]];
      std::memcpy(to, &written, sizeof(Written));
      to += written.length;
      copied = at + 1;
      hn::StoreU(hn::LoadU(d, in + i + copied), d, to);
      bits &= bits - 1;
    }
    to += lanes - copied;
    i += lanes;
  }
  while (i < size && stop - to >= static_cast<std::ptrdiff_t>(kMostEscaped)) {
    const std::uint8_t c = in[i++];
    if (c <= limit && !MustEscape(c)) {
      *to++ = c;
    } else {
      std::memcpy(to, kWritten[c].bytes, kMostEscaped);
      to += kWritten[c].length;
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
  // An escape may reach 5 bytes into the next vector, from where one more may be copied.
  while (size - i >= 2 * lanes + kMostEscaped && static_cast<std::size_t>(stop - to) >= 2 * lanes) {
    const auto text = hn::LoadU(d, in + i);
    hn::StoreU(text, d, to);
    std::uint64_t bits = Bits(d, hn::Or(hn::Eq(text, backslash), hn::Gt(text, limit)));
    std::size_t copied = 0;
    while (bits != 0) {
      const std::size_t at = LowestBit(bits);
      to += at - copied;
      const std::size_t length = TakeLatin1(in + i + at, size - i - at, to);
      if (length == 0) return {i + at, static_cast<std::size_t>(to - out)};
      ++to;
      copied = at + length;
      hn::StoreU(hn::LoadU(d, in + i + copied), d, to);
      bits = From(bits, copied);
    }
    if (copied < lanes) {
      to += lanes - copied;
      copied = lanes;
    }
    i += copied;
  }
  while (i < size && to != stop) {
    if (in[i] != '\\' && in[i] < 0x80) {
      *to++ = in[i++];
      continue;
    }
    const std::size_t length = TakeLatin1(in + i, size - i, to);
    if (length == 0) break;
    i += length;
    ++to;
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

StringScan ScanString(std::span<const std::uint8_t> text) noexcept {
  return HWY_DYNAMIC_DISPATCH(Scan)(text.data(), text.size());
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
  std::memcpy(to, kWritten[c].bytes, kMostEscaped);
  return to + kWritten[c].length;
}

}  // namespace nomyo
#endif  // HWY_ONCE
