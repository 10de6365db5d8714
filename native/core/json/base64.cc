#include "core/json/base64.h"

#include <array>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "core/json/base64.cc"
#include <hwy/foreach_target.h>
// foreach_target.h must come first.
#include <hwy/highway.h>

// The vector methods are those of W. Muła and D. Lemire, "Faster Base64 Encoding and Decoding Using AVX2 Instructions",
// ACM Transactions on the Web 12(3), 2018, written for vectors of any width: 12 bytes and 16 characters for each
// 128-bit block.

HWY_BEFORE_NAMESPACE();
namespace nomyo {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

#if HWY_TARGET == HWY_SCALAR

// No vectors here: the scalar code below does it all.
std::size_t EncodeVectors(const std::uint8_t*, std::size_t, char*) {
  return 0;
}
std::size_t DecodeVectors(const std::uint8_t*, std::size_t, std::uint8_t*, std::size_t) {
  return 0;
}

#else

using Bytes = hn::ScalableTag<std::uint8_t>;
using Words = hn::Repartition<std::uint16_t, Bytes>;
using DoubleWords = hn::Repartition<std::uint32_t, Bytes>;

// Indices for TableLookupLanes: `from` says where lane i comes from.
template <class From>
HWY_INLINE auto LaneIndices(DoubleWords d, From from) {
  HWY_ALIGN std::uint32_t lanes[HWY_MAX_BYTES / 4] = {};
  for (std::size_t i = 0; i < hn::Lanes(d); ++i) lanes[i] = static_cast<std::uint32_t>(from(i));
  return hn::SetTableIndices(d, lanes);
}

// Encodes whole vectors; returns how many bytes were taken, a multiple of 3. A vector is loaded where fewer bytes are
// used, so the last ones are left to the scalar code.
std::size_t EncodeVectors(const std::uint8_t* in, std::size_t size, char* out) {
  const Bytes d;
  const Words w;
  const DoubleWords dw;
  const std::size_t lanes = hn::Lanes(d);
  const std::size_t step = lanes / 4 * 3;
  // Three 32-bit lanes of input for each block of four; the block's fourth is not used.
  const auto spread = LaneIndices(dw, [](std::size_t i) { return i / 4 * 3 + i % 4 - (i % 4 == 3 ? 3 : 0); });
  // Each 32-bit lane gets the three bytes of its four characters as b a c b.
  alignas(16) static constexpr std::uint8_t kOrder[16] = {1, 0, 2, 1, 4, 3, 5, 4, 7, 6, 8, 7, 10, 9, 11, 10};
  // What to add to a 6-bit value to make it a character, by class: 0 a-z, 1-10 digits, 11 '+', 12 '/', 13 A-Z.
  alignas(16) static constexpr std::uint8_t kShift[16] = {
      'a' - 26, 252, 252, 252, 252, 252, 252, 252,
      252,      252, 252, 237, 240, 'A', 0,   0};  // 237: '+' - 62, 240: '/' - 63, 252: '0' - 52, all modulo 256
  const auto order = hn::LoadDup128(d, kOrder);
  const auto shift = hn::LoadDup128(d, kShift);
  std::size_t done = 0;
  auto* to = reinterpret_cast<std::uint8_t*>(out);
  while (size - done >= lanes) {
    const auto raw = hn::LoadU(d, in + done);
    const auto blocks = hn::BitCast(d, hn::TableLookupLanes(hn::BitCast(dw, raw), spread));
    const auto triples = hn::BitCast(w, hn::TableLookupBytes(blocks, order));
    // Two multiplications move the four 6-bit groups into a byte each (a shift by another distance in each half).
    const auto high = hn::MulHigh(hn::BitCast(w, hn::And(hn::BitCast(dw, triples), hn::Set(dw, 0x0FC0FC00))),
                                  hn::BitCast(w, hn::Set(dw, 0x04000040)));
    const auto low = hn::Mul(hn::BitCast(w, hn::And(hn::BitCast(dw, triples), hn::Set(dw, 0x003F03F0))),
                             hn::BitCast(w, hn::Set(dw, 0x01000010)));
    const auto sixes = hn::BitCast(d, hn::Or(high, low));
    const auto past_letters = hn::SaturatedSub(sixes, hn::Set(d, 51));
    const auto upper = hn::VecFromMask(d, hn::Lt(sixes, hn::Set(d, 26)));
    const auto kind = hn::Or(past_letters, hn::And(upper, hn::Set(d, 13)));
    hn::StoreU(hn::Add(hn::TableLookupBytes(shift, kind), sixes), d, to);
    done += step;
    to += lanes;
  }
  return done;
}

// Decodes whole vectors of characters; returns how many were taken, or SIZE_MAX when one was not of the alphabet. A
// whole vector is stored where fewer bytes are made, so it stops while `room` allows that.
std::size_t DecodeVectors(const std::uint8_t* in, std::size_t size, std::uint8_t* out, std::size_t room) {
  const Bytes d;
  const Words w;
  const DoubleWords dw;
  const std::size_t lanes = hn::Lanes(d);
  const std::size_t step = lanes / 4 * 3;
  // A character is of the alphabet when the bit sets of its two halves have nothing in common.
  alignas(16) static constexpr std::uint8_t kLowHalf[16] = {0x15, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11,
                                                            0x11, 0x11, 0x13, 0x1A, 0x1B, 0x1B, 0x1B, 0x1A};
  alignas(16) static constexpr std::uint8_t kHighHalf[16] = {0x10, 0x10, 0x01, 0x02, 0x04, 0x08, 0x04, 0x08,
                                                             0x10, 0x10, 0x10, 0x10, 0x10, 0x10, 0x10, 0x10};
  // What to add to a character, by its high half; '/' is the one that shares its half with another rule ('+').
  alignas(16) static constexpr std::uint8_t kRoll[16] = {0, 16, 19, 4, 191, 191, 185, 185, 0, 0, 0, 0, 0, 0, 0, 0};
  alignas(16) static constexpr std::uint8_t kOrder[16] = {2, 1,  0,  6,  5,    4,    10,   9,
                                                          8, 14, 13, 12, 0x80, 0x80, 0x80, 0x80};
  const auto low_half = hn::LoadDup128(d, kLowHalf);
  const auto high_half = hn::LoadDup128(d, kHighHalf);
  const auto roll = hn::LoadDup128(d, kRoll);
  const auto order = hn::LoadDup128(d, kOrder);
  const auto join =
      LaneIndices(dw, [n = hn::Lanes(dw)](std::size_t i) { return i < n / 4 * 3 ? i / 3 * 4 + i % 3 : 0; });
  auto wrong = hn::Zero(d);
  std::size_t done = 0;
  while (size - done >= lanes && room >= lanes) {
    const auto text = hn::LoadU(d, in + done);
    const auto high = hn::And(hn::ShiftRight<4>(text), hn::Set(d, 0x0F));
    const auto low = hn::And(text, hn::Set(d, 0x0F));
    wrong = hn::Or(wrong, hn::And(hn::TableLookupBytes(high_half, high), hn::TableLookupBytes(low_half, low)));
    const auto slash = hn::VecFromMask(d, hn::Eq(text, hn::Set(d, '/')));  // -1 where it is
    const auto sixes = hn::BitCast(w, hn::Add(text, hn::TableLookupBytes(roll, hn::Add(high, slash))));
    // a | b << 8  ->  a << 6 | b, twice in each 32-bit lane; then the two 12-bit halves likewise.
    const auto twelves =
        hn::BitCast(dw, hn::Or(hn::And(hn::ShiftLeft<6>(sixes), hn::Set(w, 0x0FC0)), hn::ShiftRight<8>(sixes)));
    const auto triples =
        hn::Or(hn::And(hn::ShiftLeft<12>(twelves), hn::Set(dw, 0x00FFF000)), hn::ShiftRight<16>(twelves));
    const auto packed = hn::TableLookupBytesOr0(hn::BitCast(d, triples), order);
    hn::StoreU(hn::BitCast(d, hn::TableLookupLanes(hn::BitCast(dw, packed), join)), d, out);
    done += lanes;
    out += step;
    room -= step;
  }
  return hn::AllTrue(d, hn::Eq(wrong, hn::Zero(d))) ? done : SIZE_MAX;
}

#endif  // HWY_TARGET

const char* TargetName() {
  return hwy::TargetName(HWY_TARGET);
}

}  // namespace HWY_NAMESPACE
}  // namespace nomyo
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace nomyo {
namespace {

HWY_EXPORT(EncodeVectors);
HWY_EXPORT(DecodeVectors);
HWY_EXPORT(TargetName);

constexpr char kAlphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

constexpr std::array<std::uint8_t, 256> MakeValues() {
  std::array<std::uint8_t, 256> values{};
  values.fill(0xFF);
  for (std::uint8_t i = 0; i < 64; ++i) values[static_cast<std::uint8_t>(kAlphabet[i])] = i;
  return values;
}

constexpr std::array<std::uint8_t, 256> kValues = MakeValues();

std::size_t PaddingOf(std::string_view text) {
  if (text.empty() || text.back() != '=') return 0;
  return text[text.size() - 2] == '=' ? 2 : 1;
}

}  // namespace

void Base64Encode(std::span<const std::uint8_t> bytes, char* out) noexcept {
  std::size_t i = HWY_DYNAMIC_DISPATCH(EncodeVectors)(bytes.data(), bytes.size(), out);
  out += i / 3 * 4;
  for (; bytes.size() - i >= 3; i += 3) {
    const std::uint32_t group = static_cast<std::uint32_t>(bytes[i] << 16 | bytes[i + 1] << 8 | bytes[i + 2]);
    *out++ = kAlphabet[group >> 18];
    *out++ = kAlphabet[group >> 12 & 63];
    *out++ = kAlphabet[group >> 6 & 63];
    *out++ = kAlphabet[group & 63];
  }
  const std::size_t left = bytes.size() - i;
  if (left == 0) return;
  const std::uint32_t group = static_cast<std::uint32_t>(bytes[i] << 16 | (left == 2 ? bytes[i + 1] << 8 : 0));
  *out++ = kAlphabet[group >> 18];
  *out++ = kAlphabet[group >> 12 & 63];
  *out++ = left == 2 ? kAlphabet[group >> 6 & 63] : '=';
  *out++ = '=';
}

std::optional<std::size_t> Base64DecodedSize(std::string_view text) noexcept {
  if (text.size() % 4 != 0) return std::nullopt;
  return text.size() / 4 * 3 - PaddingOf(text);
}

bool Base64Decode(std::string_view text, std::span<std::uint8_t> out) noexcept {
  // What the padding must be follows from the sizes. It is never read off the text again, which may say something else
  // by now than it said to Base64DecodedSize: a byte more would be written than there is room for.
  const std::size_t most = text.size() / 4 * 3;
  if (text.size() % 4 != 0 || out.size() > most || most - out.size() > (text.empty() ? 0u : 2u)) return false;
  const std::size_t padding = most - out.size();
  // The last group is scalar's: it alone may be padded.
  const std::size_t whole = text.empty() ? 0 : text.size() - 4;
  const auto* in = reinterpret_cast<const std::uint8_t*>(text.data());
  std::size_t i = HWY_DYNAMIC_DISPATCH(DecodeVectors)(in, whole, out.data(), out.size());
  if (i == SIZE_MAX) return false;
  std::uint8_t* to = out.data() + i / 4 * 3;
  std::uint8_t bad = 0;
  for (; i < whole; i += 4) {
    const std::uint8_t a = kValues[in[i]], b = kValues[in[i + 1]], c = kValues[in[i + 2]], e = kValues[in[i + 3]];
    bad = static_cast<std::uint8_t>(bad | a | b | c | e);
    *to++ = static_cast<std::uint8_t>(a << 2 | b >> 4);
    *to++ = static_cast<std::uint8_t>(b << 4 | c >> 2);
    *to++ = static_cast<std::uint8_t>(c << 6 | e);
  }
  if (text.empty()) return true;
  if ((padding == 2 && in[i + 2] != '=') || (padding >= 1 && in[i + 3] != '=')) return false;
  const std::uint8_t a = kValues[in[i]], b = kValues[in[i + 1]];
  const std::uint8_t c = padding == 2 ? 0 : kValues[in[i + 2]];
  const std::uint8_t e = padding >= 1 ? 0 : kValues[in[i + 3]];
  bad = static_cast<std::uint8_t>(bad | a | b | c | e);
  if ((bad & 0xC0) != 0) return false;
  if (padding == 2 && (b & 0x0F) != 0) return false;
  if (padding == 1 && (c & 0x03) != 0) return false;
  *to++ = static_cast<std::uint8_t>(a << 2 | b >> 4);
  if (padding < 2) *to++ = static_cast<std::uint8_t>(b << 4 | c >> 2);
  if (padding < 1) *to++ = static_cast<std::uint8_t>(c << 6 | e);
  return true;
}

const char* Base64Target() noexcept {
  return HWY_DYNAMIC_DISPATCH(TargetName)();
}

}  // namespace nomyo
#endif  // HWY_ONCE
