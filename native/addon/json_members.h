// The router's look at JSON in the pool: scanObject (lib/native.ts).
#pragma once

#include <napi.h>

namespace nomyo::addon {

void InitJsonMembers(Napi::Env env, Napi::Object exports);

}  // namespace nomyo::addon
