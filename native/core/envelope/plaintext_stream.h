// PlaintextStream: plaintext goes in piece by piece, a package's base64 ciphertext comes out.
//
// The plaintext exists only in one block of pool memory, small enough for the processor's second-level cache. A full
// block is encrypted in place and encoded straight into the package. One thread at a time.
//
// After an error of any function but Start the stream is good for nothing but destruction, which wipes the block; what
// it has appended to the package is then worthless, since no tag vouches for it. Errors of all these: kTooLarge over
// the limit, kCrypto, kMemoryLock, kOutOfMemory.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "core/crypto/aes_gcm.h"
#include "core/crypto/hmac_sha256.h"
#include "core/envelope/package_bytes.h"
#include "core/json/text_sink.h"
#include "core/memory/secure_buffer.h"
#include "core/result.h"

namespace nomyo {

class PlaintextStream final : public TextSink {
 public:
  // The block's size: below 64 KiB so that it stays in the second-level cache beside what it is copied from; a multiple
  // of 48, so that AES blocks (16) and base64 groups (3) both come out even.
  static constexpr std::size_t kBlockBytes = std::size_t{48} * 1024;

  // Start sizes the block for `expected` bytes of plaintext; the stream appends to `package`, which must outlive it.
  // More than `limit` bytes are refused. Errors: kMemoryLock, kOutOfMemory.
  static Result<PlaintextStream> Start(AesGcmEncryptor encryptor, PackageBytes& package, std::size_t expected,
                                       std::size_t limit);

  // DigestBy has everything that goes in from now on digested, in the block, before it is encrypted there. Called
  // before the first byte.
  void DigestBy(HmacSha256 hmac) { hmac_.emplace(std::move(hmac)); }

  // EndDigest returns the digest of all that has gone in since DigestBy, which must have been called; what follows
  // (padding) is not digested. Once.
  Result<std::array<std::uint8_t, kSha256Bytes>> EndDigest();

  // Fill appends `count` times `byte`.
  Status Fill(std::uint8_t byte, std::size_t count);

  // total is the plaintext's length so far, in bytes.
  std::size_t total() const noexcept { return flushed_ + used_; }

  // Finish encrypts what is left and writes the tag.
  Status Finish(std::span<std::uint8_t, kGcmTagBytes> tag);

 private:
  PlaintextStream(AesGcmEncryptor encryptor, PackageBytes& package, SecureBuffer block, std::size_t limit)
      : TextSink(std::move(block)), encryptor_(std::move(encryptor)), package_(&package), limit_(limit) {}
  Status Drain() override;
  Status Flush(std::size_t count);

  AesGcmEncryptor encryptor_;
  PackageBytes* package_;
  std::size_t limit_;
  std::size_t flushed_ = 0;
  std::optional<HmacSha256> hmac_;
};

}  // namespace nomyo
