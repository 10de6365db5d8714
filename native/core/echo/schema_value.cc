#include "core/echo/schema_value.h"

#include <algorithm>
#include <string_view>

namespace nomyo::echo {
namespace {

Error TooCostly() {
  return {Code::kTooLarge, "A JSON schema in the request is larger, or nested deeper, than the echo model follows."};
}

// The first element of a list, or the value itself.
Value First(const Request& request, Value value) {
  if (!IsList(value)) return value;
  Value first;
  ForEach(request, value, [&first](Value element) {
    first = element;
    return false;
  });
  return first;
}

}  // namespace

Status PutText(JsonWriter& writer, MessageText text, std::size_t units) {
  char16_t block[512];
  while (units != 0) {
    const std::size_t got = text.Next(block);
    if (got == 0) break;
    const std::size_t count = std::min(got, units);
    if (const Status status = writer.StringUtf16({block, count}); !status) return status;
    units -= count;
  }
  return writer.EndString();
}

Status SchemaValue::Put(std::string_view text) {
  return out_.Append({reinterpret_cast<const std::uint8_t*>(text.data()), text.size()});
}

Status SchemaValue::Said() {
  if (const Status status = Put("\""); !status) return status;
  if (const Status status = PutText(writer_, said_); !status) return status;
  return Put("\"");
}

Status SchemaValue::Walked(Value value) {
  walked_ += value.size();
  return walked_ > kMostWalked || IsCancelled(request_.cancellation) ? Status(TooCostly()) : Status::Ok();
}

// Names with "~" or an escape in them are not looked for: what points to nothing is a schema that says nothing.
Value SchemaValue::Target(Value reference) {
  if (!IsString(reference)) return {};
  const JsonString string = request_.Walk(reference).String();
  const std::string_view path(reinterpret_cast<const char*>(string.raw.data()), string.raw.size());
  if (path == "#") return root_;
  for (const std::string_view defs : {"$defs", "definitions"}) {
    if (string.escaped || path.size() < defs.size() + 3 || path.substr(2, defs.size()) != defs ||
        !path.starts_with("#/") || path[defs.size() + 2] != '/') {
      continue;
    }
    return Member(request_, Member(request_, root_, defs), path.substr(defs.size() + 3));
  }
  return {};
}

Status SchemaValue::Any(Value schema, std::size_t depth) {
  if (++values_ > kMostValues || depth > kMostDepth) return TooCostly();
  if (const Status status = Walked(schema); !status) return status;
  const auto [constant, choices, reference, any_of, one_of, all_of, types, properties, items, least_items, minimum] =
      Members(request_, schema,
              std::to_array<std::string_view>({"const", "enum", "$ref", "anyOf", "oneOf", "allOf", "type", "properties",
                                               "items", "minItems", "minimum"}));
  if (!constant.empty()) return Put(constant);
  if (IsList(choices)) {
    const Value first = First(request_, choices);
    return first.empty() ? Put("null") : Put(first);
  }
  if (!reference.empty()) {
    if (const Status status = Walked(root_); !status) return status;
    return Any(Target(reference), depth + 1);
  }
  for (const Value alternatives : {any_of, one_of, all_of}) {
    if (IsList(alternatives)) return Any(First(request_, alternatives), depth + 1);
  }
  const Value type = First(request_, types);
  if (Says(request_, type, "number") || Says(request_, type, "integer")) {
    const bool number = StartsWith(minimum, '-') || (!minimum.empty() && minimum[0] >= '0' && minimum[0] <= '9');
    return number ? Put(minimum) : Put("0");
  }
  if (Says(request_, type, "boolean")) return Put("false");
  if (Says(request_, type, "null")) return Put("null");
  if (Says(request_, type, "array")) return List(items, least_items, depth);
  if (Says(request_, type, "object") || (type.empty() && !properties.empty())) return Object(schema, depth);
  return Said();
}

Status SchemaValue::List(Value items, Value least, std::size_t depth) {
  const bool number = !least.empty() && least[0] >= '1' && least[0] <= '9';
  // More than there can be is refused where values are counted.
  const auto count = number ? static_cast<std::size_t>(std::min(ParseNumber(least), 1e6)) : std::size_t{0};
  if (const Status status = Put("["); !status) return status;
  for (std::size_t i = 0; i < count; ++i) {
    if (i != 0) {
      if (const Status status = Put(","); !status) return status;
    }
    if (const Status status = Any(items, depth + 1); !status) return status;
  }
  return Put("]");
}

Status SchemaValue::Object(Value schema, std::size_t depth) {
  const auto members = Members(request_, schema, std::to_array<std::string_view>({"properties", "required"}));
  // No structured binding: C++20 lets lambdas capture one, and clang 14 does not.
  const Value properties = members[0];
  const Value required = members[1];
  Status status = Put("{");
  bool first = true;
  ForEach(request_, required, [&](Value name) {
    if (!status) return false;
    if (!IsString(name)) return true;
    // All names up to this one, for whether it comes twice, and all properties.
    const Value before = required.first(static_cast<std::size_t>(name.data() - required.data()));
    if (status = Walked(properties); !status) return false;
    if (status = Walked(before); !status) return false;
    const JsonString string = request_.Walk(name).String();
    bool twice = false;
    ForEach(request_, required, [&](Value other) {
      if (other.data() >= name.data()) return false;
      twice = IsString(other) && CompareText(request_.Walk(other).String(), string) == 0;
      return !twice;
    });
    if (twice) return true;
    Value property;
    if (IsObject(properties)) {
      JsonCursor cursor = request_.Walk(properties);
      cursor.Peek();
      cursor.Take();
      while (cursor.More('}')) {
        cursor.Peek();
        const JsonString key = cursor.String();
        cursor.Peek();
        cursor.Take();
        const Value value = cursor.SkipValue();
        if (CompareText(key, string) == 0) property = value;
      }
    }
    if (!first) status = Put(",");
    first = false;
    if (status) status = Put(name);
    if (status) status = Put(":");
    if (status) status = Any(property, depth + 1);
    return status.ok();
  });
  return status ? Put("}") : status;
}

}  // namespace nomyo::echo
