// The one place where a core error becomes a JavaScript error: `code` is the stable string of core/result.h.
#pragma once

#include <napi.h>

#include "core/result.h"

namespace nomyo::addon {

Napi::Error MakeError(Napi::Env env, const Error& error);

// Throw makes the error pending and returns undefined, to be returned by the caller at once.
Napi::Value Throw(Napi::Env env, const Error& error);

}  // namespace nomyo::addon
