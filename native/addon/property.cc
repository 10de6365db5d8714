#include "addon/property.h"

namespace nomyo::addon {

std::optional<Napi::Value> GetProperty(Napi::Env env, napi_value object, const char* name) {
  napi_value value = nullptr;
  if (napi_get_named_property(env, object, name, &value) != napi_ok) return std::nullopt;
  return Napi::Value(env, value);
}

std::optional<Napi::Value> GetElement(Napi::Env env, napi_value array, std::uint32_t index) {
  napi_value value = nullptr;
  if (napi_get_element(env, array, index, &value) != napi_ok) return std::nullopt;
  return Napi::Value(env, value);
}

}  // namespace nomyo::addon
