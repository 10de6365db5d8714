#include "core/attestation/offline_engine.h"

#include <utility>

#include <openssl/err.h>
#include <openssl/rsa.h>

#include "core/crypto/crypto_error.h"
#include "core/memory/openssl_memory.h"

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

Result<EvpPkeyCtx> OfflineEngine::Prepare(EVP_PKEY* key, TPM2_ALG_ID scheme, TPM2_ALG_ID hash_id) {
  const HashAlgorithm* hash = HashById(hash_id);
  if (hash == nullptr || !IsSignatureHash(hash->id)) return EvpPkeyCtx();
  int padding = 0;
  if (EVP_PKEY_is_a(key, "RSA") && (scheme == TPM2_ALG_RSASSA || scheme == TPM2_ALG_RSAPSS)) {
    padding = scheme == TPM2_ALG_RSASSA ? RSA_PKCS1_PADDING : RSA_PKCS1_PSS_PADDING;
  } else if (!EVP_PKEY_is_a(key, "EC") || scheme != TPM2_ALG_ECDSA) {
    return EvpPkeyCtx();
  }
  EvpPkeyCtx context(EVP_PKEY_CTX_new_from_pkey(nullptr, key, nullptr));
  if (context == nullptr || EVP_PKEY_verify_init(context.get()) != 1 ||
      (padding != 0 && EVP_PKEY_CTX_set_rsa_padding(context.get(), padding) != 1) ||
      EVP_PKEY_CTX_set_signature_md(context.get(), hash->md()) != 1 ||
      (padding == RSA_PKCS1_PSS_PADDING &&
       (EVP_PKEY_CTX_set_rsa_mgf1_md(context.get(), hash->md()) != 1 ||
        EVP_PKEY_CTX_set_rsa_pss_saltlen(context.get(), RSA_PSS_SALTLEN_AUTO) != 1))) {
    return CryptoError("preparing to check the quote's signature");
  }
  return context;
}

Result<EngineVerdict> OfflineEngine::Verify(const SignedQuote& quote) {
  const TPMT_SIGNATURE& signature = quote.signature;
  EvpPkeyCtx context(quote.prepared == nullptr ? nullptr : EVP_PKEY_CTX_dup(quote.prepared));
  if (quote.prepared == nullptr) {
    Result<EvpPkeyCtx> prepared = Prepare(quote.key, signature.sigAlg, signature.signature.any.hashAlg);
    if (!prepared) return prepared.error();
    if (*prepared == nullptr) return EngineVerdict::kInvalid;
    context = std::move(*prepared);
  }
  if (context == nullptr) return CryptoError("preparing to check the quote's signature");

  Bytes encoded;
  if (signature.sigAlg == TPM2_ALG_ECDSA) {
    encoded = EcdsaDer(signature.signature.ecdsa, static_cast<std::size_t>(EVP_PKEY_get_bits(quote.key) + 7) / 8);
  } else {
    const TPM2B_PUBLIC_KEY_RSA& value = signature.signature.rsassa.sig;  // rsapss has the same layout
    if (value.size == EVP_PKEY_get_size(quote.key)) encoded.assign(value.buffer, value.buffer + value.size);
  }
  if (encoded.empty()) return EngineVerdict::kInvalid;
  const Result<Bytes> digest = Digest(*HashById(signature.signature.any.hashAlg), {quote.message});
  if (!digest) return digest.error();
  ClearOpenSslError();
  const bool valid =
      EVP_PKEY_verify(context.get(), encoded.data(), encoded.size(), digest.value().data(), digest.value().size()) == 1;
  // Want of memory says nothing of the signature.
  if (!valid && OpenSslWasRefusedMemory()) return CryptoError("checking the quote's signature");
  ERR_clear_error();
  return valid ? EngineVerdict::kValid : EngineVerdict::kInvalid;
}

}  // namespace nomyo
