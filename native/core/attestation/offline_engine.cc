#include "core/attestation/offline_engine.h"

#include <openssl/err.h>
#include <openssl/rsa.h>

#include "core/crypto/crypto_error.h"
#include "core/crypto/openssl_types.h"

namespace nomyo {
namespace {

// EcdsaDer turns the TPM's r and s into what OpenSSL wants; empty when their sizes are wrong. Leading zero bytes are
// fine, and so is their absence: TPMs do both. Zero, and n and above, are OpenSSL's to refuse.
Bytes EcdsaDer(const TPMS_SIGNATURE_ECDSA& signature, std::size_t curve_bytes) {
  const auto& r = signature.signatureR;
  const auto& s = signature.signatureS;
  if (r.size < 1 || r.size > curve_bytes || s.size < 1 || s.size > curve_bytes) return {};
  const EcdsaSig made(ECDSA_SIG_new());
  BIGNUM* r_number = BN_bin2bn(r.buffer, r.size, nullptr);
  BIGNUM* s_number = BN_bin2bn(s.buffer, s.size, nullptr);
  if (made == nullptr || r_number == nullptr || s_number == nullptr ||
      ECDSA_SIG_set0(made.get(), r_number, s_number) != 1) {
    BN_free(r_number);
    BN_free(s_number);
    return {};
  }
  const int size = i2d_ECDSA_SIG(made.get(), nullptr);
  if (size <= 0) return {};
  Bytes der(static_cast<std::size_t>(size));
  std::uint8_t* end = der.data();
  i2d_ECDSA_SIG(made.get(), &end);
  return der;
}

}  // namespace

Result<EngineVerdict> OfflineEngine::Verify(const SignedQuote& quote) {
  const TPMT_SIGNATURE& signature = quote.signature;
  const HashAlgorithm* hash = HashById(signature.signature.any.hashAlg);
  if (hash == nullptr || !IsSignatureHash(hash->id)) return EngineVerdict::kInvalid;

  Bytes encoded;
  int padding = 0;
  if (EVP_PKEY_is_a(quote.key, "RSA") && (signature.sigAlg == TPM2_ALG_RSASSA || signature.sigAlg == TPM2_ALG_RSAPSS)) {
    const TPM2B_PUBLIC_KEY_RSA& value = signature.signature.rsassa.sig;  // rsapss has the same layout
    if (value.size != EVP_PKEY_get_size(quote.key)) return EngineVerdict::kInvalid;
    encoded.assign(value.buffer, value.buffer + value.size);
    padding = signature.sigAlg == TPM2_ALG_RSASSA ? RSA_PKCS1_PADDING : RSA_PKCS1_PSS_PADDING;
  } else if (EVP_PKEY_is_a(quote.key, "EC") && signature.sigAlg == TPM2_ALG_ECDSA) {
    encoded = EcdsaDer(signature.signature.ecdsa, static_cast<std::size_t>(EVP_PKEY_get_bits(quote.key) + 7) / 8);
  }
  if (encoded.empty()) return EngineVerdict::kInvalid;

  const EvpMdCtx context(EVP_MD_CTX_new());
  EVP_PKEY_CTX* key_context = nullptr;  // the digest context's
  if (context == nullptr || EVP_DigestVerifyInit(context.get(), &key_context, hash->md(), nullptr, quote.key) != 1 ||
      (padding != 0 && EVP_PKEY_CTX_set_rsa_padding(key_context, padding) != 1) ||
      (padding == RSA_PKCS1_PSS_PADDING &&
       (EVP_PKEY_CTX_set_rsa_mgf1_md(key_context, hash->md()) != 1 ||
        EVP_PKEY_CTX_set_rsa_pss_saltlen(key_context, RSA_PSS_SALTLEN_AUTO) != 1))) {
    return CryptoError("preparing to check the quote's signature");
  }
  const bool valid =
      EVP_DigestVerify(context.get(), encoded.data(), encoded.size(), quote.message.data(), quote.message.size()) == 1;
  ERR_clear_error();
  return valid ? EngineVerdict::kValid : EngineVerdict::kInvalid;
}

}  // namespace nomyo
