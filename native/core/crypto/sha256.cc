#include "core/crypto/sha256.h"

#include "core/crypto/algorithms.h"
#include "core/crypto/crypto_error.h"

namespace nomyo {

Result<std::array<std::uint8_t, kSha256Bytes>> Sha256(std::span<const std::uint8_t> data) {
  std::array<std::uint8_t, kSha256Bytes> digest{};
  if (EVP_Digest(data.data(), data.size(), digest.data(), nullptr, Algorithms::Get().sha256, nullptr) != 1) {
    return CryptoError("SHA-256");
  }
  return digest;
}

}  // namespace nomyo
