// SchemaValue: a plain value that a JSON schema allows, for arguments of tools and for structured outputs. One thread
// at a time.
#pragma once

#include <cstddef>
#include <string_view>

#include "core/echo/members.h"
#include "core/echo/message_text.h"
#include "core/json/growing_text.h"
#include "core/json/writer.h"
#include "core/result.h"

namespace nomyo::echo {

// SchemaValue writes values for the schemas that one client sent, and sees to it that they cost little, whatever they
// say: so many values (kMostValues), so deeply nested (kMostDepth), after so many bytes of schema (kMostWalked).
//
// What it looks at: `const`, the first of `enum`, `$ref` to `#`, `#/$defs/NAME` and `#/definitions/NAME`, the first of
// `anyOf`, `oneOf` and `allOf`, `type` (the first of a list), `properties` with `required`, `items` with `minItems`,
// and `minimum`. A string is `said`; so is whatever the schema says nothing of.
class SchemaValue {
 public:
  static constexpr std::size_t kMostValues = 4096;
  static constexpr std::size_t kMostDepth = 32;
  static constexpr std::size_t kMostWalked = std::size_t{256} * 1024 * 1024;

  // `root` is what `$ref` points into. All must outlive this.
  SchemaValue(const Request& request, Value root, MessageText said, GrowingText& out)
      : request_(request), root_(root), said_(said), out_(out), writer_(out) {}

  // WriteObject writes an object with what `schema` requires, an empty one if it is no schema. Errors of both:
  // kTooLarge over a bound or the text's limit, kMemoryLock, kOutOfMemory; a part has been written then, and the text
  // is worth nothing.
  Status WriteObject(Value schema) { return Object(schema, 0); }

  // Write writes any value; errors as WriteObject's, kTooLarge among them.
  Status Write(Value schema) { return Any(schema, 0); }

 private:
  Status Any(Value schema, std::size_t depth);
  Status Object(Value schema, std::size_t depth);
  Status List(Value items, Value least, std::size_t depth);
  Status Said();
  // Walked counts what a walk over `value` costs.
  Status Walked(Value value);
  Value Target(Value reference);
  Status Put(std::string_view text);
  Status Put(Value raw) { return out_.Append(raw); }

  const Request& request_;
  const Value root_;
  const MessageText said_;
  GrowingText& out_;
  JsonWriter writer_;
  std::size_t values_ = 0;
  std::size_t walked_ = 0;
};

// PutText writes text as the inside of a JSON string: `units` code units of it at most.
// Errors: kTooLarge, kMemoryLock, kOutOfMemory of what the writer writes to; a part may have been written then.
Status PutText(JsonWriter& writer, MessageText text, std::size_t units = static_cast<std::size_t>(-1));

}  // namespace nomyo::echo
