// HexValue: a digest as JavaScript has it, lower-case hex.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include <napi.h>

namespace nomyo::addon {

// HexValue returns a string. Only for bytes that are no secret. JavaScript thread.
inline Napi::Value HexValue(Napi::Env env, std::span<const std::uint8_t> bytes) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  text.reserve(2 * bytes.size());
  for (const std::uint8_t byte : bytes) {
    text.push_back(kDigits[byte >> 4]);
    text.push_back(kDigits[byte & 15]);
  }
  return Napi::String::New(env, text);
}

}  // namespace nomyo::addon
