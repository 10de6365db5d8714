// JSON pointers (RFC 6901) into checked JSON text. Any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/json/cursor.h"
#include "core/memory/secure_buffer.h"
#include "core/result.h"

namespace nomyo {

// FindPointer returns the text of the value that `pointer` names ("" names the whole). `pointer` is UTF-8, with lone
// surrogates as their three generalised bytes. Of an object's duplicate keys the last counts, as for JSON.parse.
// Errors: kNotFound; kInvalidArgument when it is no pointer; kMemoryLock, kOutOfMemory. `text` must have passed
// CheckJson, which made `long_strings` (JsonCursor says what for).
Result<std::span<const std::uint8_t>> FindPointer(std::span<const std::uint8_t> text, std::string_view pointer,
                                                  std::span<const JsonString> long_strings = {});

}  // namespace nomyo
