// The addon's functions that open a package and make values of the answer; lib/native.ts documents them.
#pragma once

#include <napi.h>

namespace nomyo::addon {

void InitOpen(Napi::Env env, Napi::Object exports);

}  // namespace nomyo::addon
