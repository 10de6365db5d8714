// The echo model's function, over core/echo.
#pragma once

#include <napi.h>

namespace nomyo::addon {

void InitEcho(Napi::Env env, Napi::Object exports);

}  // namespace nomyo::addon
