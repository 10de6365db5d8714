// getBuildInfo(), and the check at load that the OpenSSL which runs is the addon's own.
#pragma once

#include <napi.h>

namespace nomyo::addon {

// InitBuildInfo leaves an exception pending, and the addon does not load, when another copy of libcrypto was bound.
void InitBuildInfo(Napi::Env env, Napi::Object exports);

}  // namespace nomyo::addon
