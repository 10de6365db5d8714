// KeyWrapper: AES keys, each wrapped for one receiver, and some made ahead.
//
// Wrapping with RSA-4096 takes some 80 µs, most of the time that sealing a short request takes. So a receiver that is
// sealed to more than once has the next keys made on the package's own threads meanwhile: one at first, more for whom
// more is sealed to, kMostAhead at the most. They lie in the pool until each is taken or the wrapper ends. Where none
// is ready, or none can be made ahead, the key is made at once: nothing waits.
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

  // DropAhead wipes the keys that wait, and one that is being made as soon as it is. Take works on. One thread at a
  // time.
  void DropAhead() noexcept;

  // ready returns how many keys were made ahead and wait. Any thread.
  std::size_t ready() const;

  // So many outlast a burst of requests on a core that has none to spare, and are made again within one millisecond.
  static constexpr std::size_t kMostAhead = 8;

 private:
  class Ahead;
  class Making;

  KeyWrapper(OaepEncryptor encryptor, std::size_t wrapped_bytes);
  void MakeAhead(std::size_t depth) noexcept;

  OaepEncryptor encryptor_;
  std::size_t wrapped_bytes_;
  std::size_t taken_ = 0;
  bool makes_ahead_ = true;
  std::shared_ptr<Ahead> ahead_;
};

}  // namespace nomyo
