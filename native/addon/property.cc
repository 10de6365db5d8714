#include "addon/property.h"

#include "addon/argument.h"

namespace nomyo::addon {

std::optional<Napi::Value> GetProperty(Napi::Env env, napi_value object, const char* name) {
  napi_value value = nullptr;
  if (napi_get_named_property(env, object, name, &value) != napi_ok) return std::nullopt;
  return Napi::Value(env, value);
}

std::optional<std::size_t> GetWholeProperty(Napi::Env env, napi_value object, const char* name, std::size_t least,
                                            std::size_t most, const char* expected) {
  const auto value = GetProperty(env, object, name);
  return value ? GetWhole(env, *value, least, most, expected) : std::nullopt;
}

std::optional<Napi::Value> GetElement(Napi::Env env, napi_value array, std::uint32_t index) {
  napi_value value = nullptr;
  if (napi_get_element(env, array, index, &value) != napi_ok) return std::nullopt;
  return Napi::Value(env, value);
}

}  // namespace nomyo::addon
