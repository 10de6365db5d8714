// Secrets from file descriptors (pipes, terminals, files), read straight into pool memory.
#pragma once

#include <napi.h>

namespace nomyo::addon {

void InitDescriptor(Napi::Env env, Napi::Object exports);

}  // namespace nomyo::addon
