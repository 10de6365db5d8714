#include "addon/package_memory.h"

#include <memory>
#include <new>
#include <utility>

namespace nomyo::addon {
namespace {

struct PackageMemory {
  napi_env env;
  BulkMemory memory;
  napi_ref array_buffer = nullptr;  // weak
  // Whether nobody but this environment can have the memory when the finalizer is called.
  bool whole = true;
};

bool StillAttached(const PackageMemory& lent) {
  napi_handle_scope scope = nullptr;
  if (napi_open_handle_scope(lent.env, &scope) != napi_ok) return false;
  napi_value array_buffer = nullptr;
  void* data = nullptr;
  std::size_t length = 0;
  const bool attached =
      napi_get_reference_value(lent.env, lent.array_buffer, &array_buffer) == napi_ok && array_buffer != nullptr &&
      napi_get_arraybuffer_info(lent.env, array_buffer, &data, &length) == napi_ok && data == lent.memory.data();
  napi_close_handle_scope(lent.env, scope);
  return attached;
}

// Hooks run in the reverse order of their making, so this one runs before Node's own for the array buffer, which
// detaches it and calls the finalizer.
void EnvironmentEnds(void* data) {
  auto& lent = *static_cast<PackageMemory*>(data);
  lent.whole = StillAttached(lent);
}

void Finalize(napi_env env, void*, void* hint) {
  const std::unique_ptr<PackageMemory> lent(static_cast<PackageMemory*>(hint));
  napi_remove_env_cleanup_hook(env, EnvironmentEnds, lent.get());
  if (lent->array_buffer != nullptr) napi_delete_reference(env, lent->array_buffer);
  if (!lent->whole) lent->memory.Release();  // another thread may have it: never given back
}

}  // namespace

napi_status NewPackageArrayBuffer(napi_env env, BulkMemory& memory, std::size_t size, napi_value* array_buffer) {
  std::unique_ptr<PackageMemory> lent(new (std::nothrow) PackageMemory{env, {}});
  if (lent == nullptr) return napi_generic_failure;
  const napi_status status =
      napi_create_external_arraybuffer(env, memory.data(), size, Finalize, lent.get(), array_buffer);
  if (status != napi_ok) return status;
  lent->memory = std::move(memory);
  PackageMemory* const owned = lent.release();  // the finalizer's
  // Without its hook it could not be told whether the memory comes back whole.
  if (napi_create_reference(env, *array_buffer, 0, &owned->array_buffer) != napi_ok ||
      napi_add_env_cleanup_hook(env, EnvironmentEnds, owned) != napi_ok) {
    owned->whole = false;
  }
  return napi_ok;
}

}  // namespace nomyo::addon
