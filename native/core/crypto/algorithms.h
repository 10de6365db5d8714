// The algorithms that this package uses, fetched once from OpenSSL's default provider and kept, and their rehearsal.
//
// A fetch takes locks, walks tables and allocates; a kept algorithm costs nothing. Their tables hold no secret.
#pragma once

#include <openssl/evp.h>

#include "core/result.h"

namespace nomyo {

struct Algorithms {
  EVP_CIPHER* aes_256_gcm;
  EVP_CIPHER* aes_256_cbc;  // PKCS#8 files
  EVP_MD* sha256;
  EVP_MAC* hmac;

  // Get fetches on the first call; later calls return the same. Any thread. Never freed. A member is null when OpenSSL
  // could not fetch it: the users report Code::kCrypto then.
  static const Algorithms& Get();
};

// PrepareOpenSsl makes everything that OpenSSL makes once and keeps (provider tables, error strings, fetched
// algorithms, encoders and decoders: half a megabyte that holds no secret) as ordinary memory. Everything later is the
// pool's, under the Locking of the thread that allocates.
//
// It takes some 4 ms, which is why it is not a part of InstallOpenSslMemory: a process may load the addon and never use
// it, and a client's first use is its key, on a thread of its own. Called before a thread's first use of OpenSSL; calls
// at the same time wait for the first, later ones do nothing and return its outcome. A use without it is as safe, but
// leaves the tables in locked memory. Any thread. Installs the memory first, and fails as that does, or with kCrypto
// when an algorithm that is needed is missing.
Status PrepareOpenSsl();

}  // namespace nomyo
