// BytesOf: a text of a test as the core takes text, without a copy.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace nomyo {

inline std::span<const std::uint8_t> BytesOf(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

}  // namespace nomyo
