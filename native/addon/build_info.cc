#include "addon/build_info.h"

#include <openssl/crypto.h>
#include <openssl/opensslv.h>

#include "addon/error.h"
#include "addon/function.h"
#include "addon/openssl_origin.h"

namespace nomyo::addon {
namespace {

Napi::Value GetBuildInfo(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  Napi::Object result = Napi::Object::New(env);
  result.Set("version", NOMYO_VERSION);
  result.Set("opensslVersion", OpenSSL_version(OPENSSL_VERSION));
  result.Set("opensslBuiltWith", OPENSSL_VERSION_TEXT);
  result.Set("opensslIsOwn", OpenSslIsOurOwn());
  result.Set("napiVersion", NAPI_VERSION);
#if defined(__clang__)
  result.Set("compiler", "clang " __clang_version__);
#elif defined(__GNUC__)
  result.Set("compiler", "gcc " __VERSION__);
#else
  result.Set("compiler", "msvc");
#endif
#if defined(NDEBUG)
  result.Set("buildType", "release");
#else
  result.Set("buildType", "debug");
#endif
  return result;
}

}  // namespace

void InitBuildInfo(Napi::Env env, Napi::Object exports) {
  if (!OpenSslIsOurOwn()) {
    Throw(env, {Code::kUnsupported,
                "nomyo-native refuses to load: its cryptography was bound to another copy of OpenSSL than its own. "
                "The file was not built by this package's CMake definition; rebuild it with `npm run build:native`."});
    return;
  }
  Export<GetBuildInfo>(env, exports, "getBuildInfo");
}

}  // namespace nomyo::addon
