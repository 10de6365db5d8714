#include "core/json/pointer.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "core/json/cursor.h"
#include "core/json/string.h"

namespace nomyo {
namespace {

using Text = std::span<const std::uint8_t>;

Error NotFound() {
  return {Code::kNotFound, "There is nothing at this JSON pointer."};
}

// One step of a pointer: ~1 is '/', ~0 is '~' (section 3). Nothing when a '~' is followed by anything else.
std::optional<std::string> Unescape(std::string_view step) {
  std::string plain;
  for (std::size_t i = 0; i < step.size(); ++i) {
    if (step[i] != '~') {
      plain += step[i];
      continue;
    }
    if (++i == step.size() || (step[i] != '0' && step[i] != '1')) return std::nullopt;
    plain += step[i] == '0' ? '~' : '/';
  }
  return plain;
}

// An array index: digits without a leading zero (section 4).
std::optional<std::size_t> Index(std::string_view step) {
  if (step.empty() || step.size() > 15 || (step.size() > 1 && step[0] == '0')) return std::nullopt;
  std::size_t index = 0;
  for (const char c : step) {
    if (c < '0' || c > '9') return std::nullopt;
    index = index * 10 + static_cast<std::size_t>(c - '0');
  }
  return index;
}

Result<Text> Member(Text object, std::string_view name, std::span<const JsonString> long_strings) {
  JsonCursor cursor(object, long_strings);
  cursor.Peek();
  cursor.Take();
  std::optional<Text> found;
  while (cursor.More('}')) {
    cursor.Peek();
    const JsonString key = cursor.String();
    cursor.Peek();
    cursor.Take();
    const Text value = cursor.SkipValue();
    if (IsText(key, name)) found = value;
  }
  if (!found) return NotFound();
  return *found;
}

Result<Text> Element(Text array, std::size_t index, std::span<const JsonString> long_strings) {
  JsonCursor cursor(array, long_strings);
  cursor.Peek();
  cursor.Take();
  for (std::size_t i = 0; cursor.More(']'); ++i) {
    const Text value = cursor.SkipValue();
    if (i == index) return value;
  }
  return NotFound();
}

}  // namespace

Result<Text> FindPointer(Text text, std::string_view pointer, std::span<const JsonString> long_strings) {
  Text found = JsonCursor(text, long_strings).SkipValue();
  if (!pointer.empty() && pointer[0] != '/') {
    return Error{Code::kInvalidArgument, "A JSON pointer is empty or starts with '/' (RFC 6901)."};
  }
  while (!pointer.empty()) {
    pointer.remove_prefix(1);
    const std::size_t length = std::min(pointer.find('/'), pointer.size());
    const auto step = Unescape(pointer.substr(0, length));
    if (!step) return Error{Code::kInvalidArgument, "In a JSON pointer '~' is followed by 0 or 1 (RFC 6901)."};
    pointer.remove_prefix(length);
    if (found.empty()) return NotFound();
    if (found[0] == '{') {
      auto member = Member(found, *step, long_strings);
      if (!member) return member.error();
      found = *member;
    } else if (found[0] == '[') {
      const auto index = Index(*step);
      if (!index) return NotFound();
      auto element = Element(found, *index, long_strings);
      if (!element) return element.error();
      found = *element;
    } else {
      return NotFound();
    }
  }
  return found;
}

}  // namespace nomyo
