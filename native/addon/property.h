// GetProperty, GetWholeProperty, GetElement: reading from objects that JavaScript handed over. A getter or a proxy may
// run there, throw, and dispose of anything; and once the environment is being ended nothing can be read any more.
// node-addon-api then gives an empty value with no environment, and its next conversion (ToNumber, ToBoolean) ends the
// process.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include <napi.h>

namespace nomyo::addon {

// GetProperty returns what `object[name]` is; nothing when it cannot be read: an exception is pending then, unless the
// environment is being ended and none can be. Handles and bytes that were looked at before it must be looked at again.
std::optional<Napi::Value> GetProperty(Napi::Env env, napi_value object, const char* name);

// GetWholeProperty is GetWhole (addon/argument.h) of `object[name]`: nothing, as GetProperty or GetWhole has it.
std::optional<std::size_t> GetWholeProperty(Napi::Env env, napi_value object, const char* name, std::size_t least,
                                            std::size_t most, const char* expected);

// GetElement is GetProperty of `array[index]`.
std::optional<Napi::Value> GetElement(Napi::Env env, napi_value array, std::uint32_t index);

}  // namespace nomyo::addon
