// From the bytes of a package to authenticated, checked JSON in the pool, in two steps.
//
// The largest package is what OpenLimits allows: base64 of more bytes than max_plaintext_bytes is refused before memory
// is taken for it. A failure of either step leaves nothing of its input or output behind but the caller's own bytes,
// and the key as it was.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "core/cancellation.h"
#include "core/crypto/aes_gcm.h"
#include "core/crypto/rsa_key.h"
#include "core/json/check.h"
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
  std::optional<double> processed_at;
  JsonFacts facts;  // of the plaintext
};

// DecodePackage finds and decodes the fields of `package`, which must stay where it is meanwhile; the addon gives it a
// copy of its own. Even if another thread changed the bytes, the outcome would be an error or something that does not
// authenticate, never a read outside them or a write outside what was allocated: no length is read twice. Once
// `cancellation` (which may be null) is cancelled, it returns kCancelled soon. Other errors: kPackageFormat,
// kPackageAlgorithm, kTooLarge, kMemoryLock, kOutOfMemory. Any thread.
Result<DecodedPackage> DecodePackage(std::span<const std::uint8_t> package, const OpenLimits& limits,
                                     const Cancellation* cancellation = nullptr);

// OpenPackage opens `package` with `key`. Worker threads only: it does a private-key operation, the one step that runs
// to its end after a cancellation. Errors: kDecrypt, one message whatever the cause: a key that does not unwrap, or not
// to 32 bytes, is replaced by a random one, so that it fails where a wrong tag fails; kPlaintext; kCancelled;
// kMemoryLock; kOutOfMemory. On an error nothing of the plaintext is left.
Result<OpenedPackage> OpenPackage(const RsaPrivateKey& key, DecodedPackage package, const OpenLimits& limits,
                                  const Cancellation* cancellation = nullptr);

}  // namespace nomyo
