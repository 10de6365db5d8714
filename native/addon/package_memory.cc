#include "addon/package_memory.h"

#include <cstdint>
#include <memory>
#include <new>
#include <utility>

namespace nomyo::addon {
namespace {

struct PackageMemory {
  BulkMemory memory;
  napi_ref array_buffer = nullptr;  // weak
  napi_ref witness = nullptr;       // strong, until the finalizer of the package's array buffer has been called
  // What the witness has seen, once it has looked: it looks when the environment ends.
  bool seen = false;
  bool whole = false;
  std::uint8_t byte = 0;  // the witness's own
};

using Shared = std::shared_ptr<PackageMemory>;

bool StillAttached(napi_env env, const PackageMemory& lent) {
  napi_value array_buffer = nullptr;
  void* data = nullptr;
  std::size_t length = 0;
  return lent.array_buffer != nullptr && napi_get_reference_value(env, lent.array_buffer, &array_buffer) == napi_ok &&
         array_buffer != nullptr && napi_get_arraybuffer_info(env, array_buffer, &data, &length) == napi_ok &&
         data == lent.memory.data();
}

// A call that is refused when no JavaScript may run any more, and runs none.
bool EnvironmentLives(napi_env env) {
  napi_value object = nullptr;
  return napi_create_object(env, &object) == napi_ok && napi_object_seal(env, object) == napi_ok;
}

void Finalize(napi_env env, void*, void* hint) {
  const std::unique_ptr<Shared> own(static_cast<Shared*>(hint));
  PackageMemory& lent = **own;
  if (!lent.seen) lent.whole = EnvironmentLives(env);
  if (lent.array_buffer != nullptr) napi_delete_reference(env, lent.array_buffer);
  if (lent.witness != nullptr) napi_delete_reference(env, lent.witness);
  lent.array_buffer = lent.witness = nullptr;
  BulkMemory memory = std::move(lent.memory);
  if (!lent.whole) memory.Release();  // another thread may have it: never given back
}

void FinalizeWitness(napi_env env, void*, void* hint) {
  const std::unique_ptr<Shared> own(static_cast<Shared*>(hint));
  PackageMemory& lent = **own;
  // It is held: then this is the environment's end. Otherwise the package has been finalized, or it never was held.
  if (lent.witness == nullptr) return;
  lent.seen = true;
  lent.whole = StillAttached(env, lent);
}

napi_status NewArrayBuffer(napi_env env, void* data, std::size_t size, napi_finalize finalize, const Shared& lent,
                           napi_value* array_buffer) {
  std::unique_ptr<Shared> box(new (std::nothrow) Shared(lent));
  if (box == nullptr) return napi_generic_failure;
  const napi_status status = napi_create_external_arraybuffer(env, data, size, finalize, box.get(), array_buffer);
  if (status == napi_ok) static_cast<void>(box.release());  // the finalizer's
  return status;
}

}  // namespace

napi_status NewPackageArrayBuffer(napi_env env, BulkMemory& memory, std::size_t size, napi_value* array_buffer) {
  const auto lent = std::make_shared<PackageMemory>();
  const napi_status status = NewArrayBuffer(env, memory.data(), size, Finalize, lent, array_buffer);
  if (status != napi_ok) return status;
  lent->memory = std::move(memory);
  // Without a witness the memory is not given back when the environment ends: no more than that comes of a failure.
  napi_value witness = nullptr;
  if (napi_create_reference(env, *array_buffer, 0, &lent->array_buffer) == napi_ok &&
      NewArrayBuffer(env, &lent->byte, 1, FinalizeWitness, lent, &witness) == napi_ok) {
    napi_create_reference(env, witness, 1, &lent->witness);
  }
  return napi_ok;
}

}  // namespace nomyo::addon
