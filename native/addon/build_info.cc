#include "addon/build_info.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/opensslv.h>

#if !defined(_WIN32)
#include <dlfcn.h>
#endif

#include "addon/error.h"
#include "addon/function.h"

namespace nomyo::addon {
namespace {

// Node exports its own OpenSSL. If the linker flags were lost, our calls would bind to it: secrets would go through an
// allocator that locks nothing. dladdr says which file the function that we call is in; our own code's file is the
// only right answer. On Windows symbols are bound per library at link time, so there is nothing to check.
bool OpenSslIsOurOwn() {
#if defined(_WIN32)
  return true;
#else
  Dl_info ours{};
  Dl_info openssl{};
  return dladdr(reinterpret_cast<void*>(&OpenSslIsOurOwn), &ours) != 0 &&
         dladdr(reinterpret_cast<void*>(&EVP_EncryptInit_ex), &openssl) != 0 && ours.dli_fbase == openssl.dli_fbase;
#endif
}

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
