// KeyWrapper: AES keys, each wrapped for one receiver, and made one ahead.
//
// Wrapping with RSA-4096 takes some 80 µs, most of the time that sealing a short request takes. So a receiver that is
// sealed to more than once has the next key made on the package's own threads meanwhile. It lies in the pool until it
// is taken or the wrapper ends. Where none is ready, or none can be made ahead, the key is made at once: nothing waits.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "core/crypto/aes_gcm.h"
#include "core/crypto/rsa_oaep.h"
#include "core/result.h"

namespace nomyo {

class KeyWrapper {
 public:
  // For prepares wrapping for `key`. Errors: kCrypto, kMemoryLock, kOutOfMemory.
  static Result<KeyWrapper> For(const RsaPublicKey& key);

  ~KeyWrapper();
  KeyWrapper(KeyWrapper&&) noexcept;
  KeyWrapper& operator=(KeyWrapper&&) noexcept;

  // wrapped_bytes is the length of a wrapped key: the modulus's, in bytes.
  std::size_t wrapped_bytes() const noexcept { return wrapped_bytes_; }

  // Take writes a fresh random key, and the same wrapped by RSA-OAEP into `wrapped`, which has wrapped_bytes(). No key
  // is ever given twice. One thread at a time; any thread. Under Locking::kRequired the key was in locked memory
  // only. Errors: kCrypto, kMemoryLock (also in a child that fork() made), kOutOfMemory; `key` is wiped then, and the
  // next call starts anew.
  Status Take(std::span<std::uint8_t, kAesKeyBytes> key, std::span<std::uint8_t> wrapped);

  // DropAhead wipes the key that waits, and one that is being made as soon as it is. Take works on. One thread at a
  // time.
  void DropAhead() noexcept;

  // has_ready returns whether the next Take finds a key that was made ahead. Any thread.
  bool has_ready() const;

 private:
  class Ahead;
  class Making;

  KeyWrapper(OaepEncryptor encryptor, std::size_t wrapped_bytes);
  void MakeAhead() noexcept;

  OaepEncryptor encryptor_;
  std::size_t wrapped_bytes_;
  bool used_ = false;
  bool makes_ahead_ = true;
  std::shared_ptr<Ahead> ahead_;
};

}  // namespace nomyo
