// The algorithms that this package uses, fetched once from OpenSSL's default provider and kept.
//
// A fetch takes locks, walks tables and allocates; a kept algorithm costs nothing. Their tables hold no secret.
#pragma once

#include <openssl/evp.h>

namespace nomyo {

struct Algorithms {
  EVP_CIPHER* aes_256_gcm;
  EVP_CIPHER* aes_256_cbc;  // PKCS#8 files
  EVP_MD* sha256;

  // Get fetches on the first call; later calls return the same. Any thread. Never freed. A member is null when OpenSSL
  // could not fetch it: the users report Code::kCrypto then.
  static const Algorithms& Get();
};

}  // namespace nomyo
