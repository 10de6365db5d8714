// RSA keys: generation, and reading and writing them as PEM (RFC 5958, RFC 8017 appendix A.1, RFC 5280 4.1.2.7).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "core/cancellation.h"
#include "core/crypto/openssl_types.h"
#include "core/memory/secure_buffer.h"
#include "core/result.h"

namespace nomyo {

inline constexpr int kRsaLeastBits = 2048;
inline constexpr int kRsaMostBits = 16384;
// What a public key that others send may cost. The work grows with the square of the modulus and with the exponent's
// bits: RSA-16384 with a long exponent takes some 8 ms, the largest key here under one, a usual RSA-4096 key 0.08.
inline constexpr int kRsaMostPublicBits = 8192;
inline constexpr int kRsaMostPublicExponentBits = 32;
inline constexpr std::size_t kPasswordLeastBytes = 8;

// RsaPublicKey is immutable; copies of the pointer may be used by several threads at once.
class RsaPublicKey {
 public:
  // Import reads one PEM SubjectPublicKeyInfo in DER, of a stranger. kKeyFormat: not that; kKeyWeak: not RSA, under
  // `least_bits` or 2048 bits, over `most_bits` or kRsaMostPublicBits, or with an exponent outside FIPS 186-5 A.1.1 or
  // over kRsaMostPublicExponentBits. Other errors: kCrypto, kMemoryLock, kOutOfMemory. Any thread.
  static Result<RsaPublicKey> Import(std::string_view pem, int least_bits, int most_bits = kRsaMostPublicBits);

  int bits() const noexcept { return bits_; }
  // size is the length of the modulus, and of an OAEP ciphertext, in bytes.
  std::size_t size() const noexcept { return (static_cast<std::size_t>(bits_) + 7) / 8; }
  // pem is the SubjectPublicKeyInfo with a final newline; spki_sha256 the lower-case hex SHA-256 of its DER.
  const std::string& pem() const noexcept { return pem_; }
  const std::string& spki_sha256() const noexcept { return spki_sha256_; }
  EVP_PKEY* get() const noexcept { return key_.get(); }

 private:
  friend class RsaPrivateKey;
  RsaPublicKey(EvpPkey key, int bits, std::string pem, std::string fingerprint)
      : key_(std::move(key)), bits_(bits), pem_(std::move(pem)), spki_sha256_(std::move(fingerprint)) {}
  static Result<RsaPublicKey> FromDer(std::span<const std::uint8_t> spki, int least_bits);

  EvpPkey key_;
  int bits_;
  std::string pem_;
  std::string spki_sha256_;
};

// RsaPrivateKey holds the key in OpenSSL's objects, whose memory is the pool's. It is immutable; several threads may
// use it at once.
class RsaPrivateKey {
 public:
  // Generate makes a key of 2048, 3072 or 4096 bits with exponent 65 537. Takes up to seconds: worker threads only.
  // Once `cancellation` (which may be null) is cancelled, it ends at the next candidate for a prime, with kCancelled.
  // Other errors: kInvalidArgument, kCrypto, kMemoryLock, kOutOfMemory.
  static Result<RsaPrivateKey> Generate(int bits, const Cancellation* cancellation = nullptr);

  // Import reads one PEM block: PKCS#8, encrypted PKCS#8 (with a `password`) or PKCS#1. The numbers are checked to
  // belong together (n = pq, the exponents, the CRT coefficient), so that a broken key cannot leak its factors.
  // Errors: kKeyFormat (also an encryption that asks for more than 100 000 000 iterations: work that nothing could
  // cancel), kKeyWeak (not RSA, too short), kKeyPassword (missing, wrong, or given for a key that has none),
  // kMemoryLock, kOutOfMemory. PBKDF2 takes its time: worker threads only.
  static Result<RsaPrivateKey> Import(std::span<const std::uint8_t> pem,
                                      std::optional<std::span<const std::uint8_t>> password);

  // Export writes PKCS#8 PEM; with a password of 8 bytes or more as PBES2 with AES-256-CBC and PBKDF2-HMAC-SHA-256.
  // Errors: kKeyPassword (too short), kCrypto, kMemoryLock, kOutOfMemory. Worker threads only.
  Result<SecureBuffer> Export(std::optional<std::span<const std::uint8_t>> password) const;

  // PublicKey returns the public half. Errors: kCrypto, kMemoryLock, kOutOfMemory. Any thread.
  Result<RsaPublicKey> PublicKey() const;

  int bits() const noexcept { return EVP_PKEY_get_bits(key_.get()); }
  std::size_t size() const noexcept { return static_cast<std::size_t>(EVP_PKEY_get_size(key_.get())); }
  EVP_PKEY* get() const noexcept { return key_.get(); }
  // oaep_decryption is a context with every parameter of OaepDecrypt set, to be duplicated for each use: OpenSSL looks
  // algorithms up by their names while it sets them.
  const EVP_PKEY_CTX* oaep_decryption() const noexcept { return oaep_decryption_.get(); }

 private:
  static Result<RsaPrivateKey> Make(EvpPkey key);
  RsaPrivateKey(EvpPkey key, EvpPkeyCtx oaep_decryption)
      : key_(std::move(key)), oaep_decryption_(std::move(oaep_decryption)) {}
  EvpPkey key_;
  EvpPkeyCtx oaep_decryption_;
};

}  // namespace nomyo
