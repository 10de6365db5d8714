// RSA-OAEP (RFC 8017 7.1) with SHA-256, MGF1 with SHA-256 and no label: how an AES key is wrapped for its receiver.
#pragma once

#include <cstdint>
#include <span>

#include "core/crypto/openssl_types.h"
#include "core/crypto/rsa_key.h"
#include "core/memory/secure_buffer.h"
#include "core/result.h"

namespace nomyo {

// OaepEncryptor wraps for one receiver. It keeps OpenSSL's prepared context, so it is for one thread at a time.
class OaepEncryptor {
 public:
  // For prepares a context; it keeps the key alive itself. Errors: kCrypto, kMemoryLock, kOutOfMemory.
  static Result<OaepEncryptor> For(const RsaPublicKey& key);

  // Copy returns another for the same receiver, for another thread. Errors: kCrypto, kMemoryLock, kOutOfMemory.
  Result<OaepEncryptor> Copy() const;

  // Encrypt wraps `message`, of at most the modulus's length less 66 bytes (RFC 8017 7.1.1; 190 bytes for RSA-2048),
  // into `out`, which has the modulus's length. A public operation: tens of microseconds. Errors: kCrypto (also for a
  // message that is too long), kMemoryLock, kOutOfMemory; `out` means nothing then, and the encryptor may be used
  // again.
  Status Encrypt(std::span<const std::uint8_t> message, std::span<std::uint8_t> out);

 private:
  explicit OaepEncryptor(EvpPkeyCtx context) : context_(std::move(context)) {}
  EvpPkeyCtx context_;
};

// PrepareOaepDecryption makes the context that RsaPrivateKey keeps for OaepDecrypt; it keeps `key` alive itself.
// Errors: kCrypto, kMemoryLock, kOutOfMemory. Any thread.
Result<EvpPkeyCtx> PrepareOaepDecryption(EVP_PKEY* key);

// OaepDecrypt unwraps `ciphertext`. Worker threads only: a private-key operation takes milliseconds.
// Every refusal is the same kDecrypt (RFC 8017 7.1.2 step 3 note: no hint at which check failed), a `ciphertext` of
// another length than the modulus's included. Other errors: kCrypto, kMemoryLock, kOutOfMemory. The key stays as it
// was.
Result<SecureBuffer> OaepDecrypt(const RsaPrivateKey& key, std::span<const std::uint8_t> ciphertext);

// OaepUnwrap puts the message of `ciphertext` into `out` where it has exactly that length, and leaves `out` as it was
// where it has another or there is none: so who filled `out` with random bytes before has a key in any case, and what
// follows fails for a forged ciphertext where it fails for a wrong tag. Whichever it was, the same is done in the same
// order: no error is made, nothing is allocated for one case alone, no branch is taken on it. Worker threads only.
// Errors, none of which the ciphertext decides: kCrypto, kMemoryLock, kOutOfMemory.
Status OaepUnwrap(const RsaPrivateKey& key, std::span<const std::uint8_t> ciphertext, std::span<std::uint8_t> out);

}  // namespace nomyo
