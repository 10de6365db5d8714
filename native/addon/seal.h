// The addon's functions that make a package out of a request; lib/native.ts documents them.
#pragma once

#include <napi.h>

namespace nomyo::addon {

void InitSeal(Napi::Env env, Napi::Object exports);

}  // namespace nomyo::addon
