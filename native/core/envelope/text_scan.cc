#include "core/envelope/text_scan.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "core/envelope/text_scan.cc"
#include <hwy/foreach_target.h>
// foreach_target.h must come first.
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace nomyo {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

template <class D, class V>
HWY_INLINE auto MustEscape(D d, V text) {
  using T = hn::TFromD<D>;
  const auto quote = hn::Eq(text, hn::Set(d, static_cast<T>('"')));
  const auto backslash = hn::Eq(text, hn::Set(d, static_cast<T>('\\')));
  return hn::Or(hn::Or(quote, backslash), hn::Lt(text, hn::Set(d, static_cast<T>(0x20))));
}

HWY_INLINE bool ScalarMustEscape(std::uint32_t c) {
  return c == '"' || c == '\\' || c < 0x20;
}

std::size_t FindStop(const std::uint8_t* in, std::size_t size) {
  const hn::ScalableTag<std::uint8_t> d;
  const std::size_t lanes = hn::Lanes(d);
  std::size_t i = 0;
  for (; size - i >= lanes; i += lanes) {
    const std::intptr_t first = hn::FindFirstTrue(d, MustEscape(d, hn::LoadU(d, in + i)));
    if (first >= 0) return i + static_cast<std::size_t>(first);
  }
  while (i < size && !ScalarMustEscape(in[i])) ++i;
  return i;
}

std::size_t FindNonAscii(const std::uint8_t* in, std::size_t size) {
  const hn::ScalableTag<std::uint8_t> d;
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

std::size_t Copy8(const std::uint8_t* in, std::size_t size, std::uint8_t* out, bool stop_at_non_ascii) {
  const hn::ScalableTag<std::uint8_t> d;
  const std::size_t lanes = hn::Lanes(d);
  // A limit that no byte reaches is the same as none: 0xFF does not occur in UTF-8.
  const std::uint8_t limit = stop_at_non_ascii ? 0x80 : 0xFF;
  const auto limits = hn::Set(d, static_cast<std::uint8_t>(limit - 1));
  std::size_t i = 0;
  for (; size - i >= lanes; i += lanes) {
    const auto text = hn::LoadU(d, in + i);
    hn::StoreU(text, d, out + i);
    const std::intptr_t first = hn::FindFirstTrue(d, hn::Or(MustEscape(d, text), hn::Gt(text, limits)));
    if (first >= 0) return i + static_cast<std::size_t>(first);
  }
  for (; i < size && !ScalarMustEscape(in[i]) && in[i] < limit; ++i) out[i] = in[i];
  return i;
}

std::size_t Copy16(const char16_t* text, std::size_t size, std::uint8_t* out) {
  const hn::ScalableTag<std::uint16_t> d;
  const hn::Rebind<std::uint8_t, decltype(d)> narrow;
  const std::size_t lanes = hn::Lanes(d);
  const auto limit = hn::Set(d, 0x7F);
  const auto* in = reinterpret_cast<const std::uint16_t*>(text);
  std::size_t i = 0;
  for (; size - i >= lanes; i += lanes) {
    const auto units = hn::LoadU(d, in + i);
    const std::intptr_t first = hn::FindFirstTrue(d, hn::Or(MustEscape(d, units), hn::Gt(units, limit)));
    // Demotion saturates from signed: what it spoils lies after `first`.
    hn::StoreU(hn::DemoteTo(narrow, hn::BitCast(hn::RebindToSigned<decltype(d)>(), units)), narrow, out + i);
    if (first >= 0) return i + static_cast<std::size_t>(first);
  }
  for (; i < size && !ScalarMustEscape(in[i]) && in[i] < 0x80; ++i) out[i] = static_cast<std::uint8_t>(in[i]);
  return i;
}

}  // namespace HWY_NAMESPACE
}  // namespace nomyo
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace nomyo {
namespace {

HWY_EXPORT(FindStop);
HWY_EXPORT(FindNonAscii);
HWY_EXPORT(Copy8);
HWY_EXPORT(Copy16);

}  // namespace

std::size_t FindStringStop(std::span<const std::uint8_t> text) noexcept {
  return HWY_DYNAMIC_DISPATCH(FindStop)(text.data(), text.size());
}

std::size_t AsciiPrefix(std::span<const std::uint8_t> text) noexcept {
  return HWY_DYNAMIC_DISPATCH(FindNonAscii)(text.data(), text.size());
}

std::size_t CopyUntilEscape(std::span<const std::uint8_t> text, std::uint8_t* out, bool stop_at_non_ascii) noexcept {
  return HWY_DYNAMIC_DISPATCH(Copy8)(text.data(), text.size(), out, stop_at_non_ascii);
}

std::size_t CopyUntilEscape16(std::span<const char16_t> text, std::uint8_t* out) noexcept {
  return HWY_DYNAMIC_DISPATCH(Copy16)(text.data(), text.size(), out);
}

}  // namespace nomyo
#endif  // HWY_ONCE
