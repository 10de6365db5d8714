// Move-only owners of the OpenSSL objects that attestation uses beside those of core/crypto.
#pragma once

#include <openssl/bio.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include "core/crypto/openssl_types.h"

namespace nomyo {

using EvpMdCtx = std::unique_ptr<EVP_MD_CTX, OpenSslDeleter<EVP_MD_CTX_free>>;
using EcdsaSig = std::unique_ptr<ECDSA_SIG, OpenSslDeleter<ECDSA_SIG_free>>;
using Bio = std::unique_ptr<BIO, OpenSslDeleter<BIO_free_all>>;
using X509Certificate = std::unique_ptr<X509, OpenSslDeleter<X509_free>>;

}  // namespace nomyo
