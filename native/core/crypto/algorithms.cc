#include "core/crypto/algorithms.h"

#include <algorithm>

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/kdf.h>
#include <openssl/pem.h>

#include "core/crypto/openssl_types.h"
#include "core/memory/openssl_memory.h"

namespace nomyo {
namespace {

// What is used through OpenSSL's own look-ups only: the first fetch of each fills OpenSSL's tables, and a later one
// finds it there. Kept for the life of the process.
bool FetchTheOthers() {
  static const void* const fetched[] = {
      EVP_MD_fetch(nullptr, "SHA1", nullptr),         EVP_MD_fetch(nullptr, "SHA2-384", nullptr),
      EVP_MD_fetch(nullptr, "SHA2-512", nullptr),     EVP_MAC_fetch(nullptr, "HMAC", nullptr),
      EVP_KDF_fetch(nullptr, "PBKDF2", nullptr),      EVP_KEYMGMT_fetch(nullptr, "RSA", nullptr),
      EVP_KEYMGMT_fetch(nullptr, "EC", nullptr),      EVP_SIGNATURE_fetch(nullptr, "RSA", nullptr),
      EVP_SIGNATURE_fetch(nullptr, "ECDSA", nullptr), EVP_ASYM_CIPHER_fetch(nullptr, "RSA", nullptr),
  };
  return std::ranges::none_of(fetched, [](const void* each) { return each == nullptr; });
}

bool AllFetched() {
  // Every member has a name here: with a new one this does not compile before it is looked at.
  const auto& [aes_256_gcm, aes_256_cbc, sha256] = Algorithms::Get();
  return aes_256_gcm != nullptr && aes_256_cbc != nullptr && sha256 != nullptr && FetchTheOthers();
}

// A throw-away key is generated, written and read in every form that the package uses, encrypted and not, so that
// encoders, decoders and their caches exist before the first real one. It protects nothing.
bool RehearseKeys() {
  EVP_PKEY* made = nullptr;
  const EvpPkeyCtx context(EVP_PKEY_CTX_new_from_name(nullptr, "EC", nullptr));
  bool ok = context != nullptr && EVP_PKEY_keygen_init(context.get()) == 1 &&
            EVP_PKEY_CTX_set_group_name(context.get(), "P-256") == 1 && EVP_PKEY_generate(context.get(), &made) == 1;
  const EvpPkey key(made);
  char password[] = "rehearsal";
  for (const bool encrypted : {false, true}) {
    const Bio pem(BIO_new(BIO_s_mem()));
    ok = ok && pem != nullptr &&
         PEM_write_bio_PKCS8PrivateKey(pem.get(), key.get(), encrypted ? EVP_aes_256_cbc() : nullptr, nullptr, 0,
                                       nullptr, encrypted ? password : nullptr) == 1 &&
         EvpPkey(PEM_read_bio_PrivateKey(pem.get(), nullptr, nullptr, password)) != nullptr;
  }
  const Bio pem(BIO_new(BIO_s_mem()));
  return ok && pem != nullptr && PEM_write_bio_PUBKEY(pem.get(), key.get()) == 1 &&
         EvpPkey(PEM_read_bio_PUBKEY(pem.get(), nullptr, nullptr, nullptr)) != nullptr;
}

Status Prepare() {
  if (Status installed = InstallOpenSslMemory(); !installed) return installed;
  const OrdinaryOpenSslMemory ordinary;
  const bool ok = OPENSSL_init_crypto(OPENSSL_INIT_LOAD_CRYPTO_STRINGS | OPENSSL_INIT_ADD_ALL_CIPHERS |
                                          OPENSSL_INIT_ADD_ALL_DIGESTS | OPENSSL_INIT_NO_LOAD_CONFIG,
                                      nullptr) == 1 &&
                  AllFetched() && RehearseKeys();
  ERR_clear_error();
  if (!ok) return Error{Code::kCrypto, "OpenSSL could not be initialised: an algorithm that is needed is missing."};
  return Status::Ok();
}

}  // namespace

const Algorithms& Algorithms::Get() {
  // By their names, since two of one type that change places would compile.
  static const Algorithms algorithms{
      .aes_256_gcm = EVP_CIPHER_fetch(nullptr, "AES-256-GCM", nullptr),
      .aes_256_cbc = EVP_CIPHER_fetch(nullptr, "AES-256-CBC", nullptr),
      .sha256 = EVP_MD_fetch(nullptr, "SHA2-256", nullptr),
  };
  return algorithms;
}

Status PrepareOpenSsl() {
  static const Status outcome = Prepare();
  return outcome;
}

}  // namespace nomyo
