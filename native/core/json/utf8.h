// PutUtf8: one code point as UTF-8. Any thread.
#pragma once

#include <cstdint>

namespace nomyo {

// PutUtf8 writes `point` (a lone surrogate as its three generalised bytes) to `to`, which has room for 4 bytes, and
// returns where it ended.
inline std::uint8_t* PutUtf8(std::uint8_t* to, std::uint32_t point) noexcept {
  if (point < 0x80) {
    *to++ = static_cast<std::uint8_t>(point);
    return to;
  }
  int shift = point < 0x800 ? 6 : point < 0x10000 ? 12 : 18;
  constexpr std::uint8_t kLead[] = {0xC0, 0xE0, 0xF0};
  *to++ = static_cast<std::uint8_t>(kLead[shift / 6 - 1] | point >> shift);
  while (shift != 0) {
    shift -= 6;
    *to++ = static_cast<std::uint8_t>(0x80 | (point >> shift & 0x3F));
  }
  return to;
}

}  // namespace nomyo
