// Long JavaScript strings whose characters lie in memory of ours instead of V8's heap: they are decoded straight into
// it. So there is no second copy, no page faults of a fresh V8 page, and nothing for the collector to move. They are
// wiped when V8 has collected the string.
#pragma once

#include <cstddef>

#include <napi.h>

#include "core/memory/bulk_memory.h"

namespace nomyo::addon {

// From this many bytes of JSON on a string is made so. V8 keeps strings of up to 128 KiB in its young generation and
// copies them twice: with 66 strings of that size in an answer (measured) that is most of making its value, 16 ms
// against 4 ms.
inline constexpr std::size_t kExternalText = std::size_t{64} << 10;

// HasExternalText says whether this Node makes such strings: its functions for it came with 20.4 and became part of
// Node-API 10. Elsewhere long strings are copied into V8's heap.
bool HasExternalText() noexcept;

// NewExternalLatin1 makes a string of the first `length` bytes of `memory`, NewExternalUtf16 of as many code units.
// Both take the memory over, and later wipe its first `written` bytes (decoding may write beyond the text's end). Where
// V8 allows no external memory (Electron), Node copies it and it is freed at once. Errors are Node-API's; no exception
// is pending. JavaScript thread.
napi_status NewExternalLatin1(napi_env env, BulkMemory memory, std::size_t length, std::size_t written,
                              napi_value* result);
napi_status NewExternalUtf16(napi_env env, BulkMemory memory, std::size_t length, std::size_t written,
                             napi_value* result);

}  // namespace nomyo::addon
