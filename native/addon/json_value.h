// JsonValueMaker: makes JavaScript values straight from checked JSON text in the pool, as JSON.parse would.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <unordered_map>
#include <vector>

#include <napi.h>

#include "core/envelope/json_check.h"
#include "core/envelope/json_cursor.h"
#include "core/memory/secure_buffer.h"

namespace nomyo::addon {

class JsonValueMaker {
 public:
  // `join` is Array.prototype.join as it was when the addon was loaded: long strings are made in pieces and joined.
  JsonValueMaker(Napi::Env env, napi_value join) : env_(env), join_(join) {}

  // Make returns the value of `text`, which must have passed CheckJson or be a value inside such a text; `facts` are
  // that check's. Returns null with an exception pending when memory runs out. The nesting takes no stack. Object keys
  // become own properties whatever their name is (`__proto__` too).
  napi_value Make(std::span<const std::uint8_t> text, const JsonFacts& facts);

  // MakeText returns UTF-8 as one string; `ascii` when all its bytes are below 0x80.
  napi_value MakeText(std::span<const std::uint8_t> text, bool ascii);

 private:
  struct Frame {
    napi_value container;
    bool is_object;
    std::uint32_t next_index;
    std::uint32_t in_scope;
    napi_handle_scope scope;
    napi_value key;
    bool define;
  };
  struct Key {
    napi_value name;
    bool define;
  };

  bool Check(napi_status status);
  napi_value Scalar(JsonCursor& cursor);
  napi_value String(const JsonString& string);
  napi_value Number(std::span<const std::uint8_t> digits);
  napi_value External(const JsonString& string);
  napi_value Decoded(std::span<const std::uint8_t> raw);
  napi_value DecodedAtOnce(std::span<const std::uint8_t> raw);
  Key MakeKey(const JsonString& string);
  Key FindKey(const JsonString& string);
  void CollectKeys(JsonCursor cursor);
  bool Store(Frame& frame, napi_value value);
  bool OpenFrame(napi_value container, bool is_object);
  bool CloseFrame();
  void CloseScopes();

  Napi::Env env_;
  napi_value join_;
  napi_value object_prototype_ = nullptr;
  bool many_ = false;  // so many values that handles must be given back on the way
  std::vector<Frame> frames_;
  std::unordered_map<std::string_view, Key> keys_;
  SecureBuffer scratch_;
};

}  // namespace nomyo::addon
