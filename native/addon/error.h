// The one place where a core error becomes a JavaScript error: `code` is the stable string of core/result.h.
#pragma once

#include <napi.h>

#include "core/result.h"

namespace nomyo::addon {

Napi::Error MakeError(Napi::Env env, const Error& error);

// Throw makes the error pending, unless an exception is, and returns undefined, to be returned by the caller at once.
Napi::Value Throw(Napi::Env env, const Error& error);

// OutOfMemoryValue is the OUT_OF_MEMORY error for where an exception of C++ has been caught: it needs no memory of
// C++'s. Null when Node has none either.
napi_value OutOfMemoryValue(napi_env env) noexcept;

}  // namespace nomyo::addon
