// Handles: opaque JavaScript objects that own a native one. napi_unwrap checks nothing, so each kind has a type tag,
// and a handle of another kind (or a Proxy, or null) is a TypeError instead of a wild pointer.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include <napi.h>

#include "addon/argument.h"
#include "addon/error.h"
#include "core/memory/fork_guard.h"

namespace nomyo::addon {

// HandleTag<T>::value must be specialised with a random tag for each T that has handles; HandleTag<T>::name says what
// the argument should have been.
template <class T>
struct HandleTag;

// TagOf returns T's tag in this image of the addon. A second copy of the addon's file in the same process has a pool
// and types of its own: its handles must not pass for ours, so the tag depends on where the image was loaded.
template <class T>
napi_type_tag TagOf() {
  static const char image = 0;
  return {HandleTag<T>::value.lower ^ reinterpret_cast<std::uintptr_t>(&image), HandleTag<T>::value.upper};
}

// IsHandle returns whether `value` is a handle of kind T, made by this image. Throws nothing.
template <class T>
bool IsHandle(napi_env env, napi_value value) {
  const napi_type_tag tag = TagOf<T>();
  bool tagged = false;
  napi_valuetype type = napi_undefined;
  return napi_typeof(env, value, &type) == napi_ok && type == napi_object &&
         napi_check_object_type_tag(env, value, &tag, &tagged) == napi_ok && tagged;
}

// NewHandle returns an object that shares ownership of `object` until it is collected. `external_bytes` tells the
// collector how much native memory hangs on it.
template <class T>
Napi::Value NewHandle(Napi::Env env, std::shared_ptr<T> object, std::int64_t external_bytes = 0) {
  struct Box {
    std::shared_ptr<T> object;
    std::int64_t external_bytes;
  };
  Napi::Object handle = Napi::Object::New(env);
  auto box = std::make_unique<Box>(Box{std::move(object), external_bytes});
  const napi_type_tag tag = TagOf<T>();
  if (napi_type_tag_object(env, handle, &tag) != napi_ok || napi_wrap(
                                                                env, handle, box.get(),
                                                                [](napi_env finalize_env, void* data, void*) {
                                                                  // The memory is the parent's, and may not be mapped
                                                                  // here.
                                                                  if (InForkedChild()) return;
                                                                  std::unique_ptr<Box> owned(static_cast<Box*>(data));
                                                                  std::int64_t total = 0;
                                                                  napi_adjust_external_memory(
                                                                      finalize_env, -owned->external_bytes, &total);
                                                                },
                                                                nullptr, nullptr) != napi_ok) {
    return Throw(env, {Code::kOutOfMemory, "A handle could not be made."});
  }
  std::int64_t total = 0;
  napi_adjust_external_memory(env, external_bytes, &total);
  static_cast<void>(box.release());  // the finalizer owns it now
  return handle;
}

// GetHandle returns what `value` owns, or an empty pointer with a TypeError pending.
template <class T>
std::shared_ptr<T> GetHandle(Napi::Env env, napi_value value) {
  void* data = nullptr;
  if (IsHandle<T>(env, value) && napi_unwrap(env, value, &data) == napi_ok) {
    // The box starts with the pointer.
    return *static_cast<std::shared_ptr<T>*>(data);
  }
  ThrowTypeError(env, (std::string("expected ") + HandleTag<T>::name).c_str());
  return nullptr;
}

}  // namespace nomyo::addon
