// Digests for receipts: SHA-256 of packages, HMAC-SHA-256 of what lies in the pool.
#pragma once

#include <napi.h>

namespace nomyo::addon {

void InitDigest(Napi::Env env, Napi::Object exports);

}  // namespace nomyo::addon
