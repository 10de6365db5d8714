// AES-256-GCM (NIST SP 800-38D) with a 96-bit nonce, a 128-bit tag and no associated data: what the protocol uses.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "core/cancellation.h"
#include "core/crypto/openssl_types.h"
#include "core/result.h"

namespace nomyo {

inline constexpr std::size_t kAesKeyBytes = 32;
inline constexpr std::size_t kGcmNonceBytes = 12;
inline constexpr std::size_t kGcmTagBytes = 16;

// What a nonce that is used twice with one key costs: an observer has the XOR of both plaintexts, and the key of the
// tags, with which it can forge packages under that key (SP 800-38D appendix A). So each key encrypts one message, with
// a nonce of its own (core/envelope/key_wrapper.h), and nothing here takes a second one.
//
// The largest message is 2^39 - 256 bits, some 64 GiB (SP 800-38D 5.2.1.1); callers' limits lie far below, and this
// file does not count.

// AesGcmEncryptor encrypts one message piece by piece, in place. One thread at a time. After an error of any function
// it is good for nothing but destruction, and what it has encrypted before must be thrown away: there is no tag for it.
class AesGcmEncryptor {
 public:
  // Start takes a key of kAesKeyBytes (copied into OpenSSL's context, which is in the pool) and a nonce that is never
  // used twice with this key. Both may be wiped afterwards. Errors: kCrypto, kMemoryLock, kOutOfMemory.
  static Result<AesGcmEncryptor> Start(std::span<const std::uint8_t, kAesKeyBytes> key,
                                       std::span<const std::uint8_t, kGcmNonceBytes> nonce);

  // Encrypt replaces the plaintext in `data` by its ciphertext, which is as long. Errors: kCrypto, kMemoryLock,
  // kOutOfMemory; `data` is wiped then.
  Status Encrypt(std::span<std::uint8_t> data);

  // Finish writes the tag; the encryptor cannot be used afterwards. Errors: kCrypto, kMemoryLock, kOutOfMemory; `tag`
  // means nothing then.
  Status Finish(std::span<std::uint8_t, kGcmTagBytes> tag);

 private:
  explicit AesGcmEncryptor(EvpCipherCtx context) : context_(std::move(context)) {}
  EvpCipherCtx context_;
};

// AesGcmDecrypt replaces the ciphertext in `data` by its plaintext, if the tag is right; else wipes `data` and returns
// kDecrypt: nothing that did not authenticate is ever seen. Once `cancellation` (which may be null) is cancelled, it
// wipes `data` and returns kCancelled. Other errors, `data` wiped as well: kCrypto, kMemoryLock, kOutOfMemory. `data`
// has the plaintext's length, 0 included, and overlaps none of the others. Any thread. The tag is compared in constant
// time.
Status AesGcmDecrypt(std::span<const std::uint8_t, kAesKeyBytes> key,
                     std::span<const std::uint8_t, kGcmNonceBytes> nonce,
                     std::span<const std::uint8_t, kGcmTagBytes> tag, std::span<std::uint8_t> data,
                     const Cancellation* cancellation = nullptr);

}  // namespace nomyo
