// Move-only owners of OpenSSL objects: one for each type that the package uses. One thread at a time each.
#pragma once

#include <memory>

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

namespace nomyo {

template <auto Free>
struct OpenSslDeleter {
  template <class T>
  void operator()(T* object) const noexcept {
    Free(object);
  }
};

using EvpCipherCtx = std::unique_ptr<EVP_CIPHER_CTX, OpenSslDeleter<EVP_CIPHER_CTX_free>>;
using EvpMdCtx = std::unique_ptr<EVP_MD_CTX, OpenSslDeleter<EVP_MD_CTX_free>>;
using EvpMacCtx = std::unique_ptr<EVP_MAC_CTX, OpenSslDeleter<EVP_MAC_CTX_free>>;
using EvpPkey = std::unique_ptr<EVP_PKEY, OpenSslDeleter<EVP_PKEY_free>>;
using EvpPkeyCtx = std::unique_ptr<EVP_PKEY_CTX, OpenSslDeleter<EVP_PKEY_CTX_free>>;
using Pkcs8Info = std::unique_ptr<PKCS8_PRIV_KEY_INFO, OpenSslDeleter<PKCS8_PRIV_KEY_INFO_free>>;
using EcdsaSig = std::unique_ptr<ECDSA_SIG, OpenSslDeleter<ECDSA_SIG_free>>;
using Bio = std::unique_ptr<BIO, OpenSslDeleter<BIO_free_all>>;
using X509Certificate = std::unique_ptr<X509, OpenSslDeleter<X509_free>>;
using X509Sig = std::unique_ptr<X509_SIG, OpenSslDeleter<X509_SIG_free>>;
// BN_clear_free: the numbers are a private key's.
using BigNum = std::unique_ptr<BIGNUM, OpenSslDeleter<BN_clear_free>>;
using BigNumCtx = std::unique_ptr<BN_CTX, OpenSslDeleter<BN_CTX_free>>;

}  // namespace nomyo
