#include "addon/argument.h"

#include <cmath>
#include <string>

namespace nomyo::addon {

Napi::Value ThrowTypeError(Napi::Env env, const char* message) {
  // An exception that is pending already is the cause: a second one cannot be thrown, and trying ends the process.
  if (!env.IsExceptionPending()) Napi::TypeError::New(env, message).ThrowAsJavaScriptException();
  return env.Undefined();
}

std::optional<std::size_t> GetWhole(Napi::Env env, const Napi::Value& value, std::size_t least, std::size_t most,
                                    const char* expected) {
  if (value.IsNumber()) {
    const double number = value.As<Napi::Number>().DoubleValue();
    // False of what is not a number.
    if (number >= static_cast<double>(least) && number <= static_cast<double>(most) && number == std::floor(number)) {
      return static_cast<std::size_t>(number);
    }
  }
  ThrowTypeError(env, expected);
  return std::nullopt;
}

std::optional<Locking> GetLocking(Napi::Env env, napi_value value) {
  const Napi::Value given(env, value);
  if (given.IsString()) {
    const std::string name = given.As<Napi::String>();
    if (name == "required") return Locking::kRequired;
    if (name == "preferred") return Locking::kPreferred;
    if (name == "off") return Locking::kOff;
  }
  ThrowTypeError(env, "expected 'required', 'preferred' or 'off'");
  return std::nullopt;
}

}  // namespace nomyo::addon
