// The addon's functions over core/crypto; lib/native.ts documents them.
#pragma once

#include <memory>
#include <optional>

#include <napi.h>

#include "addon/handle.h"
#include "core/crypto/rsa_key.h"
#include "core/envelope/key_wrapper.h"

namespace nomyo::addon {

// PublicKeyObject is what a public key handle owns: the key, and what wraps for it. JavaScript thread only.
struct PublicKeyObject {
  struct Parts {
    RsaPublicKey key;
    KeyWrapper wrapper;
  };
  std::optional<Parts> parts;  // empty once disposed of
};

// PrivateKeyObject is what a private key handle owns. Jobs share `key`, so that disposal frees it when the last ends.
struct PrivateKeyObject {
  std::shared_ptr<const RsaPrivateKey> key;  // empty once disposed of
};

template <>
struct HandleTag<PublicKeyObject> {
  static constexpr napi_type_tag value = {0x51c09d62f3be4d07, 0x8fe1a26b7c93d450};
  static constexpr const char* name = "a public key";
};

template <>
struct HandleTag<PrivateKeyObject> {
  static constexpr napi_type_tag value = {0x0be7a4c16d924f38, 0xa25d81f07b36ec94};
  static constexpr const char* name = "a private key";
};

// GetPublicKey returns what a handle owns, with its parts; or an empty pointer with a TypeError or DISPOSED pending.
std::shared_ptr<PublicKeyObject> GetPublicKey(Napi::Env env, napi_value value);

// GetPrivateKey returns the key behind a handle; or an empty pointer with a TypeError or DISPOSED pending.
std::shared_ptr<const RsaPrivateKey> GetPrivateKey(Napi::Env env, napi_value value);

void InitCrypto(Napi::Env env, Napi::Object exports);

}  // namespace nomyo::addon
