// Owners of the OpenSSL objects that attestation uses: move-only, freed by their own function.
#pragma once

#include <memory>

#include <openssl/bio.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/x509.h>

namespace nomyo {

template <auto Free>
struct OpensslFree {
  template <class T>
  void operator()(T* object) const {
    Free(object);
  }
};

using OwnedKey = std::unique_ptr<EVP_PKEY, OpensslFree<EVP_PKEY_free>>;
using OwnedKeyContext = std::unique_ptr<EVP_PKEY_CTX, OpensslFree<EVP_PKEY_CTX_free>>;
using OwnedDigestContext = std::unique_ptr<EVP_MD_CTX, OpensslFree<EVP_MD_CTX_free>>;
using OwnedEcdsaSignature = std::unique_ptr<ECDSA_SIG, OpensslFree<ECDSA_SIG_free>>;
using OwnedNumber = std::unique_ptr<BIGNUM, OpensslFree<BN_free>>;
using OwnedBio = std::unique_ptr<BIO, OpensslFree<BIO_free_all>>;
using OwnedCertificate = std::unique_ptr<X509, OpensslFree<X509_free>>;

}  // namespace nomyo
