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
  // An exception that is pending already is the cause: a second one cannot be thrown, and trying ends the process.
  if (!env.IsExceptionPending()) MakeError(env, error).ThrowAsJavaScriptException();
  return env.Undefined();
}

napi_value OutOfMemoryValue(napi_env env) noexcept {
  napi_value code = nullptr;
  napi_value message = nullptr;
  napi_value error = nullptr;
  if (napi_create_string_utf8(env, "OUT_OF_MEMORY", NAPI_AUTO_LENGTH, &code) != napi_ok ||
      napi_create_string_utf8(env, "The system has no memory to give for the result.", NAPI_AUTO_LENGTH, &message) !=
          napi_ok ||
      napi_create_error(env, nullptr, message, &error) != napi_ok) {
    return nullptr;
  }
  napi_set_named_property(env, error, "code", code);
  return error;
}

}  // namespace nomyo::addon
