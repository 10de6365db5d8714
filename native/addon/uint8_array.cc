#include "addon/uint8_array.h"

#include <cstddef>
#include <string>

#include "addon/argument.h"
#include "addon/error.h"
#include "addon/property.h"

namespace nomyo::addon {
namespace {

std::nullopt_t ThrowArgument(Napi::Env env, const char* what, const char* why) {
  Throw(env, {Code::kInvalidArgument, std::string(what) + why});
  return std::nullopt;
}

}  // namespace

std::optional<std::span<const std::uint8_t>> ReadUint8Array(Napi::Env env, napi_value value, const char* what) {
  napi_typedarray_type type = napi_int8_array;
  napi_value buffer = nullptr;
  bool is_array = false;
  if (napi_is_typedarray(env, value, &is_array) != napi_ok || !is_array ||
      napi_get_typedarray_info(env, value, &type, nullptr, nullptr, &buffer, nullptr) != napi_ok ||
      type != napi_uint8_array) {
    ThrowTypeError(env, (std::string(what) + " must be a Uint8Array").c_str());
    return std::nullopt;
  }
  bool is_own = false;
  if (napi_is_arraybuffer(env, buffer, &is_own) != napi_ok || !is_own) {
    return ThrowArgument(env, what,
                         " lies in a SharedArrayBuffer, which other threads can change while it is read. Pass a copy: "
                         "Uint8Array.from(bytes).");
  }
  // A property, so JavaScript may run here; only then are address and length read.
  const auto resizable = GetProperty(env, buffer, "resizable");
  if (!resizable) return std::nullopt;
  bool is_resizable = false;
  if (napi_get_value_bool(env, *resizable, &is_resizable) == napi_ok && is_resizable) {
    return ThrowArgument(env, what, " lies in a resizable ArrayBuffer. Pass a copy: Uint8Array.from(bytes).");
  }
  std::size_t length = 0;
  void* data = nullptr;
  if (napi_get_typedarray_info(env, value, nullptr, &length, &data, nullptr, nullptr) != napi_ok) {
    return ThrowArgument(env, what, " could not be read.");
  }
  return std::span<const std::uint8_t>(static_cast<const std::uint8_t*>(data), data == nullptr ? 0 : length);
}

}  // namespace nomyo::addon
