// From the bytes of a package to authenticated, checked JSON in the pool, in two steps.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "core/crypto/aes_gcm.h"
#include "core/crypto/rsa_key.h"
#include "core/envelope/json_check.h"
#include "core/memory/secure_buffer.h"
#include "core/result.h"

namespace nomyo {

struct OpenLimits {
  std::size_t max_plaintext_bytes;  // kTooLarge over it
  std::size_t max_depth;            // of arrays and objects; kPlaintext over it
};

// DecodedPackage is a package's fields as bytes, nothing decrypted. It needs the package's own bytes no more.
struct DecodedPackage {
  std::array<std::uint8_t, kGcmNonceBytes> nonce;
  std::array<std::uint8_t, kGcmTagBytes> tag;
  std::vector<std::uint8_t> wrapped_key;
  SecureBuffer payload;  // the ciphertext; decrypted in place
  std::optional<double> processed_at;
};

struct OpenedPackage {
  SecureBuffer plaintext;  // UTF-8 JSON of an object
  SecureBuffer aes_key;    // kept for the forensic test only; empty otherwise
  std::optional<double> processed_at;
  JsonFacts facts;  // of the plaintext
};

// DecodePackage finds and decodes the fields of `package`. Any thread. If another thread changes the bytes meanwhile
// the outcome is an error or something that does not authenticate, never a read outside them. Errors: kPackageFormat,
// kPackageAlgorithm, kTooLarge, kMemoryLock, kOutOfMemory.
Result<DecodedPackage> DecodePackage(std::span<const std::uint8_t> package, const OpenLimits& limits);

// OpenPackage opens `package` with `key`. Worker threads only: it does a private-key operation.
// Errors: kDecrypt, one message whatever the cause: a key that does not unwrap, or not to 32 bytes, is replaced by a
// random one, so that it fails where a wrong tag fails; kPlaintext; kMemoryLock; kOutOfMemory. On an error nothing of
// the plaintext is left.
Result<OpenedPackage> OpenPackage(const RsaPrivateKey& key, DecodedPackage package, const OpenLimits& limits,
                                  bool keep_aes_key = false);

}  // namespace nomyo
