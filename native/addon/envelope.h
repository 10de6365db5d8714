// The addon's functions over core/envelope; lib/native.ts documents them.
#pragma once

#include <napi.h>

namespace nomyo::addon {

void InitEnvelope(Napi::Env env, Napi::Object exports);

}  // namespace nomyo::addon
