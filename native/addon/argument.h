// Arguments: what JavaScript hands over is looked at here, once, and then is a type of ours. Handles are
// addon/handle.h's, bytes addon/uint8_array.h's.
#pragma once

#include <cstddef>
#include <optional>

#include <napi.h>

#include "core/memory/locking.h"

namespace nomyo::addon {

// ThrowTypeError makes a TypeError pending, unless an exception is, and returns undefined, to be returned by the caller
// at once.
Napi::Value ThrowTypeError(Napi::Env env, const char* message);

// Number.MAX_SAFE_INTEGER: the largest count of anything.
inline constexpr std::size_t kMostWhole = (std::size_t{1} << 53) - 1;

// The deepest nesting of JSON that a limit may allow.
inline constexpr std::size_t kMostDepth = 1'000'000;

// GetWhole reads a whole number from `least` to `most`; otherwise a TypeError with the text `expected` is pending.
// Nothing is converted, so no JavaScript runs.
std::optional<std::size_t> GetWhole(Napi::Env env, const Napi::Value& value, std::size_t least, std::size_t most,
                                    const char* expected);

// GetLocking reads the strings 'required', 'preferred', 'off'; otherwise a TypeError is pending.
std::optional<Locking> GetLocking(Napi::Env env, napi_value value);

}  // namespace nomyo::addon
