// JsonValueMaker: makes JavaScript values straight from checked JSON text in the pool, as JSON.parse would.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <unordered_map>
#include <vector>

#include <napi.h>

#include "core/json/check.h"
#include "core/json/cursor.h"
#include "core/memory/secure_buffer.h"

namespace nomyo::addon {

class JsonValueMaker {
 public:
  // Helpers are JavaScript functions that the maker calls: one call of one costs less than a Node-API call for each
  // member. They are made once for each environment, when the addon is loaded.
  struct Helpers {
    Napi::FunctionReference add_members;   // (object, key, value, key, value, ...)
    Napi::FunctionReference add_elements;  // (array, value, value, ...)
    Napi::FunctionReference join;          // Array.prototype.join as it was then
  };
  // MakeHelpers gives nothing when no JavaScript can run any more (a worker that is terminated while it loads the
  // addon), or with an exception pending.
  static std::optional<Helpers> MakeHelpers(Napi::Env env);

  JsonValueMaker(Napi::Env env, const Helpers& helpers) : env_(env), helpers_(helpers) {}
  // Node ends the process when a call leaves a scope open, so they are closed also when memory ran out on the way.
  ~JsonValueMaker() { CloseScopes(); }
  JsonValueMaker(const JsonValueMaker&) = delete;
  JsonValueMaker& operator=(const JsonValueMaker&) = delete;

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
    std::size_t first;  // where its part of pending_ begins
    std::uint32_t in_scope;
    napi_handle_scope scope;
  };

  bool Check(napi_status status);
  napi_value Scalar(JsonCursor& cursor);
  napi_value String(const JsonString& string);
  napi_value Number(std::span<const std::uint8_t> digits);
  napi_value External(const JsonString& string);
  napi_value Decoded(std::span<const std::uint8_t> raw);
  napi_value DecodedAtOnce(std::span<const std::uint8_t> raw);
  napi_value FindKey(const JsonString& string);
  void CollectKeys(JsonCursor cursor);
  bool Store(Frame& frame, napi_value value);
  bool Flush(Frame& frame);
  bool OpenFrame(napi_value container, bool is_object);
  bool CloseFrame();
  void CloseScopes();

  Napi::Env env_;
  const Helpers& helpers_;
  napi_value add_members_ = nullptr;
  napi_value add_elements_ = nullptr;
  bool many_ = false;  // so many values that handles must be given back on the way
  std::vector<Frame> frames_;
  // What the open containers are still to be given, the innermost's last: its keys and values. The first place is for
  // the container that a helper is called with.
  std::vector<napi_value> pending_;
  std::unordered_map<std::string_view, napi_value> keys_;
  SecureBuffer scratch_;
};

}  // namespace nomyo::addon
