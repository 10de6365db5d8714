// CheckJson: whether bytes are JSON, exactly as JSON.parse sees it, without making anything of them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "core/result.h"

namespace nomyo {

struct JsonFacts {
  std::size_t values;  // values in the text, containers included
};

// CheckJson returns facts about `text` if it is well-formed UTF-8 and one JSON value (RFC 8259, ECMA-404) that is an
// object, nested no deeper than `max_depth` (the object itself counts 1). Takes no stack for nesting. Any thread.
// Errors: kPlaintext, with one message whatever is wrong, so that nothing of the text is told; kMemoryLock,
// kOutOfMemory.
Result<JsonFacts> CheckJson(std::span<const std::uint8_t> text, std::size_t max_depth);

}  // namespace nomyo
