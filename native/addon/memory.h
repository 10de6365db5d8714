// The addon's functions over core/memory; lib/native.ts documents them.
#pragma once

#include <napi.h>

namespace nomyo::addon {

void InitMemory(Napi::Env env, Napi::Object exports);

}  // namespace nomyo::addon
