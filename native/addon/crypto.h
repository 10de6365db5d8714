// The addon's functions over core/crypto; lib/native.ts documents them.
#pragma once

#include <napi.h>

namespace nomyo::addon {

void InitCrypto(Napi::Env env, Napi::Object exports);

}  // namespace nomyo::addon
