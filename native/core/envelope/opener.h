// OpenPackage: from the bytes of a package to authenticated, checked JSON in the pool.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "core/crypto/rsa_key.h"
#include "core/memory/secure_buffer.h"
#include "core/result.h"

namespace nomyo {

struct OpenLimits {
  std::size_t max_plaintext_bytes;  // kTooLarge over it
  std::size_t max_depth;            // of arrays and objects; kPlaintext over it
};

struct OpenedPackage {
  SecureBuffer plaintext;  // UTF-8 JSON of an object
  SecureBuffer aes_key;    // kept for the forensic test only; empty otherwise
  std::optional<double> processed_at;
  std::size_t values;  // JSON values in the plaintext
};

// OpenPackage opens `package` with `key`. Worker threads only: it does a private-key operation. `package` must not
// change meanwhile; if it does, the outcome is an error or garbage that does not authenticate, never bytes outside it.
// Errors: kPackageFormat, kPackageAlgorithm (nothing was decrypted); kDecrypt, one message whatever the cause: a key
// that does not unwrap, or not to 32 bytes, is replaced by a random one, so that it fails where a wrong tag fails;
// kPlaintext; kTooLarge; kMemoryLock; kOutOfMemory. On an error nothing of the plaintext is left.
Result<OpenedPackage> OpenPackage(const RsaPrivateKey& key, std::span<const std::uint8_t> package,
                                  const OpenLimits& limits, bool keep_aes_key = false);

}  // namespace nomyo
