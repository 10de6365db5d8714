// CheckJson: whether bytes are JSON, exactly as JSON.parse sees it, without making anything of them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "core/cancellation.h"
#include "core/json/cursor.h"
#include "core/memory/secure_buffer.h"
#include "core/result.h"

namespace nomyo {

// Strings from this many bytes on are listed: scanning shorter ones again costs little, they are still in the cache.
inline constexpr std::size_t kLongString = std::size_t{16} * 1024;

struct JsonFacts {
  std::size_t values = 0;  // in the text, containers included
  // The text's long strings in their order, for JsonCursor. They point into the text; the list lies in `memory`, since
  // lengths are part of the plaintext's shape.
  std::span<const JsonString> long_strings;
  SecureBuffer memory;
};

// CheckJson returns facts about `text` if it is well-formed UTF-8 and one JSON value (RFC 8259, ECMA-404) that is an
// object, nested no deeper than `max_depth` (the object itself counts 1). Takes no stack for nesting, and time in
// proportion to the bytes. Any thread. Errors: kPlaintext, with one message whatever is wrong, so that nothing of the
// text is told; kCancelled, once `cancellation` (which may be null) is; kMemoryLock, kOutOfMemory.
Result<JsonFacts> CheckJson(std::span<const std::uint8_t> text, std::size_t max_depth,
                            const Cancellation* cancellation = nullptr);

}  // namespace nomyo
