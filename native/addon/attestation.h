// The addon's functions over core/attestation; lib/native.ts documents them.
#pragma once

#include <napi.h>

namespace nomyo::addon {

void InitAttestation(Napi::Env env, Napi::Object exports);

}  // namespace nomyo::addon
