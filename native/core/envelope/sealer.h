// Sealer: makes one encrypted package. JSON text goes in through writer(), the package comes out of Finish().
//
// Key and nonce are drawn for this package alone and never used again: what a second use would cost,
// core/crypto/aes_gcm.h says. The largest plaintext is the caller's SealOptions::limit (10 MiB in this package's
// client); the package has some 4/3 of its bytes. One thread at a time. After an error of the writer's or of Finish the
// sealer is good for nothing but destruction, which wipes what it holds; no part of a package has left it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#include "core/envelope/key_wrapper.h"
#include "core/envelope/package_bytes.h"
#include "core/envelope/plaintext_stream.h"
#include "core/json/writer.h"
#include "core/result.h"

namespace nomyo {

enum class Padding {
  kNone,
  kBucket,  // PaddedSize
};

// PaddedSize returns the bucket that a plaintext of `size` bytes is filled up to with spaces: the powers of two from
// 4 KiB on, and at last `limit` itself. So an observer learns one of a dozen sizes, at the cost of twice the bytes at
// most (and 4 KiB for the shortest).
std::size_t PaddedSize(std::size_t size, std::size_t limit) noexcept;

struct SealOptions {
  std::size_t limit;     // of the plaintext in bytes, padding included; kTooLarge over it
  std::size_t expected;  // the plaintext's likely length in bytes: sizes the memory, no more
  Padding padding = Padding::kNone;
  std::optional<std::int64_t> processed_at;  // unix seconds; in answers only
  // Not empty: the plaintext, without padding, is digested by HMAC-SHA-256 with this key. Only Start looks at it.
  std::span<const std::uint8_t> digest_key = {};
};

class Sealer {
 public:
  // Start takes a fresh AES key from `recipient` and draws a nonce. One thread at a time; any thread, since wrapping is
  // a public operation. Errors: kCrypto, kMemoryLock, kOutOfMemory.
  static Result<std::unique_ptr<Sealer>> Start(KeyWrapper& recipient, const SealOptions& options);

  // writer takes the JSON text of one value, from its first byte to its last: nobody checks here that it is that. Its
  // errors: kTooLarge over the limit, kUtf8, kCrypto, kMemoryLock, kOutOfMemory.
  JsonWriter& writer() noexcept { return *writer_; }

  // Finish pads, encrypts what is left and completes the package. The sealer cannot be used afterwards. Errors:
  // kTooLarge, kCrypto, kMemoryLock, kOutOfMemory.
  Result<PackageBytes> Finish();

  // digest is there after Finish, where a key was given.
  const std::optional<std::array<std::uint8_t, kSha256Bytes>>& digest() const noexcept { return digest_; }

 private:
  Sealer(const SealOptions& options, PackageBytes package) : options_(options), package_(std::move(package)) {}
  Sealer(const Sealer&) = delete;

  SealOptions options_;
  PackageBytes package_;
  std::uint8_t nonce_[kGcmNonceBytes] = {};
  std::unique_ptr<std::uint8_t[]> wrapped_key_;
  std::size_t wrapped_key_bytes_ = 0;
  std::optional<PlaintextStream> stream_;
  std::optional<JsonWriter> writer_;
  bool digests_ = false;
  std::optional<std::array<std::uint8_t, kSha256Bytes>> digest_;
};

}  // namespace nomyo
