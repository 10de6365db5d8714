// Values of a request, by what they begin with, and an object's members by their names. Any thread.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "core/cancellation.h"
#include "core/json/cursor.h"
#include "core/json/string.h"

namespace nomyo::echo {

// A request that CheckJson has accepted, and what its check found out.
struct Request {
  std::span<const JsonString> long_strings;
  const Cancellation* cancellation;

  JsonCursor Walk(std::span<const std::uint8_t> value) const { return JsonCursor(value, long_strings, cancellation); }
};

// The text of a JSON value, from its first byte on; empty when there is none.
using Value = std::span<const std::uint8_t>;

inline bool StartsWith(Value value, char first) noexcept {
  return !value.empty() && value[0] == static_cast<std::uint8_t>(first);
}
inline bool IsObject(Value value) noexcept {
  return StartsWith(value, '{');
}
inline bool IsList(Value value) noexcept {
  return StartsWith(value, '[');
}
inline bool IsString(Value value) noexcept {
  return StartsWith(value, '"');
}
// IsGiven returns whether there is a value other than null.
inline bool IsGiven(Value value) noexcept {
  return !value.empty() && value[0] != 'n';
}

// Says returns whether `value` is the string `plain`.
inline bool Says(const Request& request, Value value, std::string_view plain) noexcept {
  return IsString(value) && IsText(request.Walk(value).String(), plain);
}

// Members returns the values of `names` in one walk over `object`, of a name that occurs twice the last one, as
// JSON.parse does. What is no object has none.
template <std::size_t Count>
std::array<Value, Count> Members(const Request& request, Value object,
                                 const std::array<std::string_view, Count>& names) noexcept {
  std::array<Value, Count> values{};
  if (!IsObject(object)) return values;
  JsonCursor cursor = request.Walk(object);
  cursor.Peek();
  cursor.Take();
  while (cursor.More('}')) {
    cursor.Peek();
    const JsonString name = cursor.String();
    cursor.Peek();
    cursor.Take();
    const Value value = cursor.SkipValue();
    for (std::size_t i = 0; i < Count; ++i) {
      if (IsText(name, names[i])) values[i] = value;
    }
  }
  return values;
}

// Member is Members for one name.
inline Value Member(const Request& request, Value object, std::string_view name) noexcept {
  return Members(request, object, std::array{name})[0];
}

// ForEach calls `each` with every element of a list, until it returns false. What is no list has none.
template <class Each>
void ForEach(const Request& request, Value list, const Each& each) {
  if (!IsList(list)) return;
  JsonCursor cursor = request.Walk(list);
  cursor.Peek();
  cursor.Take();
  while (cursor.More(']')) {
    if (!each(cursor.SkipValue())) return;
  }
}

}  // namespace nomyo::echo
