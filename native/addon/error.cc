#include "addon/error.h"

#include <string>

namespace nomyo::addon {

Napi::Error MakeError(Napi::Env env, const Error& error) {
  Napi::Error made = Napi::Error::New(env, error.message);
  made.Value().DefineProperty(Napi::PropertyDescriptor::Value(
      "code", Napi::String::New(env, std::string(CodeName(error.code))), napi_enumerable));
  return made;
}

Napi::Value Throw(Napi::Env env, const Error& error) {
  MakeError(env, error).ThrowAsJavaScriptException();
  return env.Undefined();
}

}  // namespace nomyo::addon
