#include "addon/json_value.h"

#include <cstring>
#include <string_view>
#include <utility>

#include "addon/error.h"
#include "addon/external_text.h"
#include "core/json/string.h"
#include "core/json/text_scan.h"
#include "core/memory/cleanse.h"
#include "core/memory/locked_pool.h"

namespace nomyo::addon {
namespace {

// Above this many values, handles are given back while values are made: the collector looks at every live handle each
// time it runs, which would make large texts cost more than linearly.
constexpr std::size_t kManyValues = 4096;
// How many values one container makes before its handles are given back.
constexpr std::uint32_t kScopeValues = 256;
// How many keys and values a helper is given at a time; even, so that a key and its value stay together.
constexpr std::size_t kMostPending = 64;
// How many distinct keys are kept as ready-made JavaScript strings.
constexpr std::size_t kMostKeys = 512;
// Code units decoded at a time: 32 KiB of pool memory as UTF-16.
constexpr std::size_t kPieceUnits = std::size_t{16} * 1024;
// The least where memory is short.
constexpr std::size_t kLeastPieceUnits = 64;
// The longest text that is decoded at one go: no more than the pool keeps mapped beside the answer itself.
constexpr std::size_t kMostAtOnce = std::size_t{16} << 20;

const char* Chars(std::span<const std::uint8_t> bytes) {
  return reinterpret_cast<const char*>(bytes.data());
}

std::string_view View(std::span<const std::uint8_t> bytes) {
  return {Chars(bytes), bytes.size()};
}

}  // namespace

// JSON.parse makes own data properties whatever prototypes hold. An assignment would run a setter that a prototype has
// under such a name (`__proto__` has one), so such a property is defined. The functions use nothing that could have
// been replaced since they were made.
constexpr std::string_view kHelpers = R"js((() => {
  "use strict";
  const { defineProperty } = Object;
  const own = (container, key, value) => {
    defineProperty(container, key, { __proto__: null, value, writable: true, enumerable: true, configurable: true });
  };
  return {
    addMembers(object, ...members) {
      for (let i = 0; i < members.length; i += 2) {
        const key = members[i];
        if (key in object) own(object, key, members[i + 1]);
        else object[key] = members[i + 1];
      }
    },
    addElements(array, ...values) {
      for (let i = 0; i < values.length; i++) {
        const { length } = array;
        if (length in array) own(array, length, values[i]);
        else array[length] = values[i];
      }
    },
    join: Array.prototype.join,
  };
})())js";

std::optional<JsonValueMaker::Helpers> JsonValueMaker::MakeHelpers(Napi::Env env) {
  napi_value script = nullptr;
  napi_value made = nullptr;
  if (napi_create_string_utf8(env, kHelpers.data(), kHelpers.size(), &script) != napi_ok ||
      napi_run_script(env, script, &made) != napi_ok) {
    return std::nullopt;
  }
  const auto function = [&](const char* name, Napi::FunctionReference& reference) {
    napi_value value = nullptr;
    if (napi_get_named_property(env, made, name, &value) != napi_ok) return false;
    reference = Napi::Persistent(Napi::Function(env, value));
    return true;
  };
  Helpers helpers;
  if (!function("addMembers", helpers.add_members) || !function("addElements", helpers.add_elements) ||
      !function("join", helpers.join)) {
    return std::nullopt;
  }
  return helpers;
}

bool JsonValueMaker::Check(napi_status status) {
  if (status == napi_ok) return true;
  if (!env_.IsExceptionPending()) Throw(env_, {Code::kOutOfMemory, "The answer is too large to be made a value of."});
  return false;
}

napi_value JsonValueMaker::MakeText(std::span<const std::uint8_t> text, bool ascii) {
  napi_value made = nullptr;
  const napi_status status = ascii ? napi_create_string_latin1(env_, Chars(text), text.size(), &made)
                                   : napi_create_string_utf8(env_, Chars(text), text.size(), &made);
  return Check(status) ? made : nullptr;
}

napi_value JsonValueMaker::String(const JsonString& string) {
  if (string.raw.size() >= kExternalText && HasExternalText()) return External(string);
  return string.escaped ? Decoded(string.raw) : MakeText(string.raw, string.ascii);
}

// A very long string is decoded straight into the memory that it keeps.
napi_value JsonValueMaker::External(const JsonString& string) {
  napi_value made = nullptr;
  BulkMemory memory = BulkMemory::Allocate(string.raw.size());
  if (!memory.empty()) {
    const std::size_t room = string.raw.size();
    const auto length = StringDecoder(string.raw).NextLatin1({memory.data(), room});
    if (length) return Check(NewExternalLatin1(env_, std::move(memory), *length, room, &made)) ? made : nullptr;
    Cleanse(memory.data(), room);
    const std::size_t most = MostUtf16Units(string.raw);
    memory = BulkMemory::Allocate(most * sizeof(char16_t));
    if (!memory.empty()) {
      auto* const units = reinterpret_cast<char16_t*>(memory.data());
      const std::size_t count = StringDecoder(string.raw).Next({units, most});
      const std::size_t bytes = count * sizeof(char16_t);
      return Check(NewExternalUtf16(env_, std::move(memory), count, bytes, &made)) ? made : nullptr;
    }
  }
  Throw(env_, {Code::kOutOfMemory, "No memory was left for a string of the answer."});
  return nullptr;
}

// A long string of Latin-1 is decoded at one go where the pool has room for it: V8 copies pieces twice. The pool keeps
// such memory mapped for the next answer. Returns null without an exception where this is not the way.
napi_value JsonValueMaker::DecodedAtOnce(std::span<const std::uint8_t> raw) {
  if (raw.size() <= kPieceUnits || raw.size() > kMostAtOnce) return nullptr;
  const auto budget = LockedPool::Instance().LockBudget();
  if (budget && raw.size() > *budget / 8) return nullptr;
  LockingScope scope(Locking::kRequired);
  auto whole = SecureBuffer::Allocate(raw.size());
  if (!whole) return nullptr;
  const auto length = StringDecoder(raw).NextLatin1(whole->bytes());
  napi_value made = nullptr;
  if (!length || !Check(napi_create_string_latin1(env_, Chars(whole->bytes()), *length, &made))) return nullptr;
  return made;
}

// Another string with escapes is decoded in pool memory of a fixed size, a long one in pieces that are joined.
napi_value JsonValueMaker::Decoded(std::span<const std::uint8_t> raw) {
  if (napi_value whole = DecodedAtOnce(raw); whole != nullptr || env_.IsExceptionPending()) return whole;
  // The answer is in the pool already and must not be lost for want of 32 KiB more of locked memory: where there is
  // less, the pieces are smaller.
  for (std::size_t units = kPieceUnits; scratch_.empty(); units /= 4) {
    auto scratch = SecureBuffer::Allocate(units * sizeof(char16_t));
    if (scratch) {
      scratch_ = std::move(*scratch);
    } else if (units <= kLeastPieceUnits) {
      Throw(env_, scratch.error());
      return nullptr;
    }
  }
  StringDecoder decoder(raw);
  napi_value first = nullptr;
  napi_value pieces = nullptr;
  std::uint32_t count = 0;
  do {
    napi_value piece = nullptr;
    napi_status status = napi_ok;
    if (const auto latin1 = decoder.NextLatin1(scratch_.bytes())) {
      status = napi_create_string_latin1(env_, Chars(scratch_.bytes()), *latin1, &piece);
    } else {
      const std::span<char16_t> units(reinterpret_cast<char16_t*>(scratch_.data()), scratch_.size() / sizeof(char16_t));
      status = napi_create_string_utf16(env_, units.data(), decoder.Next(units), &piece);
    }
    if (!Check(status)) return nullptr;
    if (count == 0) {
      first = piece;
    } else {
      if (count == 1 &&
          (!Check(napi_create_array(env_, &pieces)) || !Check(napi_set_element(env_, pieces, 0, first)))) {
        return nullptr;
      }
      if (!Check(napi_set_element(env_, pieces, count, piece))) return nullptr;
    }
    ++count;
  } while (!decoder.done());
  if (count == 1) return first;
  napi_value nothing = nullptr;
  napi_value joined = nullptr;
  if (!Check(napi_create_string_latin1(env_, "", 0, &nothing)) ||
      !Check(napi_call_function(env_, pieces, helpers_.join.Value(), 1, &nothing, &joined))) {
    return nullptr;
  }
  return joined;
}

napi_value JsonValueMaker::Number(std::span<const std::uint8_t> digits) {
  napi_value made = nullptr;
  std::uint32_t small = 0;
  bool is_small = digits.size() <= 9;
  for (std::size_t i = 0; is_small && i < digits.size(); ++i) {
    is_small = digits[i] >= '0' && digits[i] <= '9';
    small = small * 10 + (digits[i] - '0');
  }
  const napi_status status =
      is_small ? napi_create_uint32(env_, small, &made) : napi_create_double(env_, ParseNumber(digits), &made);
  return Check(status) ? made : nullptr;
}

napi_value JsonValueMaker::Scalar(JsonCursor& cursor) {
  napi_value made = nullptr;
  switch (cursor.Peek()) {
    case '"': return String(cursor.String());
    case 't': cursor.Word(4); return Check(napi_get_boolean(env_, true, &made)) ? made : nullptr;
    case 'f': cursor.Word(5); return Check(napi_get_boolean(env_, false, &made)) ? made : nullptr;
    case 'n': cursor.Word(4); return Check(napi_get_null(env_, &made)) ? made : nullptr;
    default: return Number(cursor.Number());
  }
}

napi_value JsonValueMaker::FindKey(const JsonString& string) {
  const auto found = keys_.find(View(string.raw));
  if (found != keys_.end()) return found->second;
  napi_value key = String(string);
  // With many values this handle lives in an inner scope: it cannot be kept.
  if (!many_ && keys_.size() < kMostKeys && key != nullptr) keys_.emplace(View(string.raw), key);
  return key;
}

// Makes the keys of a large text beforehand, in the outermost scope.
void JsonValueMaker::CollectKeys(JsonCursor cursor) {
  for (std::uint8_t next = cursor.Peek(); next != 0 && keys_.size() < kMostKeys; next = cursor.Peek()) {
    if (next == '"') {
      const JsonString string = cursor.String();
      if (cursor.Peek() != ':' || keys_.contains(View(string.raw))) continue;
      napi_value key = String(string);
      if (key == nullptr) return;
      keys_.emplace(View(string.raw), key);
    } else {
      cursor.Take();
    }
  }
}

bool JsonValueMaker::Store(Frame& frame, napi_value value) {
  pending_.push_back(value);
  ++frame.in_scope;
  return pending_.size() - frame.first < kMostPending || Flush(frame);
}

// Gives the container what is pending for it. Its handles are not needed after that.
bool JsonValueMaker::Flush(Frame& frame) {
  if (pending_.size() > frame.first) {
    napi_value* const arguments = pending_.data() + frame.first - 1;
    // The place before belongs to the container around this one.
    napi_value const before = std::exchange(*arguments, frame.container);
    napi_value ignored = nullptr;
    const napi_status status = napi_call_function(env_, frame.container, frame.is_object ? add_members_ : add_elements_,
                                                  pending_.size() - frame.first + 1, arguments, &ignored);
    *arguments = before;
    pending_.resize(frame.first);
    if (!Check(status)) return false;
  }
  if (many_ && frame.in_scope >= kScopeValues) {
    frame.in_scope = 0;
    return Check(napi_close_handle_scope(env_, std::exchange(frame.scope, nullptr))) &&
           Check(napi_open_handle_scope(env_, &frame.scope));
  }
  return true;
}

bool JsonValueMaker::OpenFrame(napi_value container, bool is_object) {
  frames_.push_back({container, is_object, pending_.size(), 0, nullptr});
  return !many_ || Check(napi_open_handle_scope(env_, &frames_.back().scope));
}

bool JsonValueMaker::CloseFrame() {
  if (!Flush(frames_.back())) return false;
  const napi_handle_scope scope = frames_.back().scope;
  frames_.pop_back();
  return scope == nullptr || Check(napi_close_handle_scope(env_, scope));
}

void JsonValueMaker::CloseScopes() {
  while (!frames_.empty()) {
    if (frames_.back().scope != nullptr) napi_close_handle_scope(env_, frames_.back().scope);
    frames_.pop_back();
  }
}

napi_value JsonValueMaker::Make(std::span<const std::uint8_t> text, const JsonFacts& facts) {
  many_ = facts.values > kManyValues;
  add_members_ = helpers_.add_members.Value();
  add_elements_ = helpers_.add_elements.Value();
  pending_.assign(1, nullptr);
  JsonCursor cursor(text, facts.long_strings);
  if (many_) CollectKeys(cursor);
  if (env_.IsExceptionPending()) return nullptr;

  napi_value root = nullptr;
  for (;;) {
    // A value is due; in an object, its key first.
    if (!frames_.empty() && frames_.back().is_object) {
      cursor.Peek();
      const napi_value key = FindKey(cursor.String());
      if (key == nullptr) break;
      pending_.push_back(key);
      cursor.Peek();
      cursor.Take();
    }
    const std::uint8_t first = cursor.Peek();
    napi_value value = nullptr;
    if (first == '{' || first == '[') {
      cursor.Take();
      const bool is_object = first == '{';
      if (!Check(is_object ? napi_create_object(env_, &value) : napi_create_array(env_, &value))) break;
      const std::uint8_t end = is_object ? '}' : ']';
      if (cursor.Peek() != end) {
        if (frames_.empty()) root = value;
        if (!OpenFrame(value, is_object)) break;
        continue;
      }
      cursor.Take();
    } else {
      value = Scalar(cursor);
      if (value == nullptr) break;
    }
    // The value is complete; so may be the containers around it.
    for (;;) {
      if (frames_.empty()) return root == nullptr ? value : root;
      if (!Store(frames_.back(), value)) {
        CloseScopes();
        return nullptr;
      }
      const std::uint8_t next = cursor.Peek();
      cursor.Take();
      if (next == ',') break;
      value = frames_.back().container;
      if (!CloseFrame()) {
        CloseScopes();
        return nullptr;
      }
      if (frames_.empty()) return value;
    }
  }
  CloseScopes();
  return nullptr;
}

}  // namespace nomyo::addon
