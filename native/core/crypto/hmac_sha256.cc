#include "core/crypto/hmac_sha256.h"

#include <openssl/core_names.h>
#include <openssl/params.h>

#include "core/crypto/algorithms.h"
#include "core/crypto/crypto_error.h"

namespace nomyo {
namespace {

constexpr const char* kWhat = "HMAC-SHA-256";

}  // namespace

Result<HmacSha256> HmacSha256::Start(std::span<const std::uint8_t> key) {
  EvpMacCtx context(EVP_MAC_CTX_new(Algorithms::Get().hmac));
  char digest[] = "SHA2-256";
  const OSSL_PARAM parameters[] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
                                   OSSL_PARAM_construct_end()};
  if (key.empty() || context == nullptr || EVP_MAC_init(context.get(), key.data(), key.size(), parameters) != 1) {
    return CryptoError(kWhat);
  }
  return HmacSha256(std::move(context));
}

Status HmacSha256::Update(std::span<const std::uint8_t> data) {
  if (EVP_MAC_update(context_.get(), data.data(), data.size()) != 1) return CryptoError(kWhat);
  return Status::Ok();
}

Result<std::array<std::uint8_t, kSha256Bytes>> HmacSha256::Finish() {
  std::array<std::uint8_t, kSha256Bytes> digest{};
  std::size_t length = 0;
  if (EVP_MAC_final(context_.get(), digest.data(), &length, digest.size()) != 1 || length != digest.size()) {
    return CryptoError(kWhat);
  }
  return digest;
}

}  // namespace nomyo
