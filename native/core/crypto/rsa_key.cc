#include "core/crypto/rsa_key.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <utility>

#include <openssl/core_names.h>
#include <openssl/pkcs12.h>
#include <openssl/rsa.h>

#include "core/crypto/algorithms.h"
#include "core/crypto/crypto_error.h"
#include "core/crypto/pem.h"
#include "core/crypto/rsa_oaep.h"
#include "core/crypto/sha256.h"
#include "core/memory/openssl_memory.h"

namespace nomyo {
namespace {

// OWASP's figure for PBKDF2-HMAC-SHA-256 (2023); a fraction of a second, once for each start.
constexpr int kPbkdf2Iterations = 600'000;
constexpr int kPbkdf2SaltBytes = 16;
// Of a file that is read: less than a minute of work, which nothing can cancel.
constexpr std::int64_t kMostIterations = 100'000'000;

// What OpenSSL does not accept is refused for its form, unless it only lacked memory.
Error Refuse(Code code, std::string message) {
  return OpenSslError({code, std::move(message)});
}

std::string Hex(std::span<const std::uint8_t> bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string hex;
  hex.reserve(bytes.size() * 2);
  for (const std::uint8_t byte : bytes) {
    hex += kDigits[byte >> 4];
    hex += kDigits[byte & 15];
  }
  return hex;
}

BigNum Parameter(const EVP_PKEY* key, const char* name) {
  BIGNUM* number = nullptr;
  if (EVP_PKEY_get_bn_param(key, name, &number) != 1) return nullptr;
  BN_set_flags(number, BN_FLG_CONSTTIME);
  return BigNum(number);
}

// What holds for both halves of a key. FIPS 186-5 A.1.1: 2^16 < e < 2^256 and odd; OpenSSL itself works with at most 64
// bits of it when the modulus is long.
Status CheckPublicNumbers(const EVP_PKEY* key, int least_bits) {
  if (EVP_PKEY_is_a(key, "RSA") != 1) return Refuse(Code::kKeyWeak, "The key is not an RSA key.");
  const int bits = EVP_PKEY_get_bits(key);
  if (bits < least_bits || bits < kRsaLeastBits) {
    return Refuse(Code::kKeyWeak, "The RSA key has " + std::to_string(bits) + " bits; at least " +
                                      std::to_string(std::max(least_bits, kRsaLeastBits)) + " are needed.");
  }
  if (bits > kRsaMostBits) return Refuse(Code::kKeyWeak, "The RSA key is longer than 16384 bits.");
  const BigNum n = Parameter(key, OSSL_PKEY_PARAM_RSA_N);
  const BigNum e = Parameter(key, OSSL_PKEY_PARAM_RSA_E);
  if (!n || !e) return Refuse(Code::kKeyFormat, "The RSA key has no modulus or no exponent.");
  if (BN_is_odd(n.get()) != 1 || BN_is_odd(e.get()) != 1 || BN_num_bits(e.get()) < 17 || BN_num_bits(e.get()) > 64) {
    return Refuse(Code::kKeyWeak, "The RSA key's public exponent or modulus is not acceptable.");
  }
  return Status::Ok();
}

// Whether a*b = 1 (mod m - 1).
bool InverseModuloLess1(const BIGNUM* a, const BIGNUM* b, const BIGNUM* m, BN_CTX* context) {
  const BigNum less_1(BN_dup(m));
  const BigNum product(BN_secure_new());
  return less_1 && product && BN_sub_word(less_1.get(), 1) == 1 &&
         BN_mod_mul(product.get(), a, b, less_1.get(), context) == 1 && BN_is_one(product.get()) == 1;
}

// RFC 8017 3.2: the five CRT numbers belong to n, e and d. Primality is not tested: that takes seconds, and the key is
// the owner's own.
Status CheckPrivateNumbers(const EVP_PKEY* key) {
  const BigNum n = Parameter(key, OSSL_PKEY_PARAM_RSA_N);
  const BigNum e = Parameter(key, OSSL_PKEY_PARAM_RSA_E);
  const BigNum d = Parameter(key, OSSL_PKEY_PARAM_RSA_D);
  const BigNum p = Parameter(key, OSSL_PKEY_PARAM_RSA_FACTOR1);
  const BigNum q = Parameter(key, OSSL_PKEY_PARAM_RSA_FACTOR2);
  const BigNum dp = Parameter(key, OSSL_PKEY_PARAM_RSA_EXPONENT1);
  const BigNum dq = Parameter(key, OSSL_PKEY_PARAM_RSA_EXPONENT2);
  const BigNum q_inverse = Parameter(key, OSSL_PKEY_PARAM_RSA_COEFFICIENT1);
  const BigNumCtx context(BN_CTX_secure_new());
  const BigNum product(BN_secure_new());
  if (!context || !product) return CryptoError("checking the RSA key");
  const bool consistent =
      n && e && d && p && q && dp && dq && q_inverse && BN_cmp(p.get(), BN_value_one()) > 0 &&
      BN_cmp(q.get(), BN_value_one()) > 0 && BN_mul(product.get(), p.get(), q.get(), context.get()) == 1 &&
      BN_cmp(product.get(), n.get()) == 0 && InverseModuloLess1(dp.get(), e.get(), p.get(), context.get()) &&
      InverseModuloLess1(dq.get(), e.get(), q.get(), context.get()) &&
      InverseModuloLess1(d.get(), e.get(), p.get(), context.get()) &&
      InverseModuloLess1(d.get(), e.get(), q.get(), context.get()) &&
      BN_mod_mul(product.get(), q_inverse.get(), q.get(), p.get(), context.get()) == 1 && BN_is_one(product.get()) == 1;
  if (!consistent) return Refuse(Code::kKeyFormat, "The RSA private key's numbers do not belong together.");
  return Status::Ok();
}

Result<Pkcs8Info> ReadPkcs8(std::span<const std::uint8_t> der) {
  const unsigned char* at = der.data();
  Pkcs8Info info(d2i_PKCS8_PRIV_KEY_INFO(nullptr, &at, static_cast<long>(der.size())));
  if (!info || at != der.data() + der.size()) {
    return Refuse(Code::kKeyFormat, "The private key is not PKCS#8.");
  }
  return info;
}

bool IsFewIterations(const ASN1_INTEGER* count) {
  std::int64_t iterations = 0;
  return ASN1_INTEGER_get_int64(&iterations, count) == 1 && iterations <= kMostIterations;
}

// Whether the work that the file asks for, before a password can be tried, is bounded. Of scrypt OpenSSL itself takes
// no more than 32 MiB, and so a time that has an end.
bool IsBoundedWork(const X509_ALGOR* scheme) {
  const auto parameters = [](const X509_ALGOR* algorithm, const ASN1_ITEM* form) {
    const void* value = nullptr;
    int type = 0;
    X509_ALGOR_get0(nullptr, &type, &value, algorithm);
    if (type != V_ASN1_SEQUENCE) return static_cast<void*>(nullptr);
    return ASN1_item_unpack(static_cast<const ASN1_STRING*>(value), form);
  };
  const auto name = [](const X509_ALGOR* algorithm) {
    const ASN1_OBJECT* object = nullptr;
    X509_ALGOR_get0(&object, nullptr, nullptr, algorithm);
    return OBJ_obj2nid(object);
  };
  if (name(scheme) != NID_pbes2) {
    const std::unique_ptr<PBEPARAM, OpenSslDeleter<PBEPARAM_free>> old(
        static_cast<PBEPARAM*>(parameters(scheme, ASN1_ITEM_rptr(PBEPARAM))));
    return !old || IsFewIterations(old->iter);
  }
  const std::unique_ptr<PBE2PARAM, OpenSslDeleter<PBE2PARAM_free>> both(
      static_cast<PBE2PARAM*>(parameters(scheme, ASN1_ITEM_rptr(PBE2PARAM))));
  if (!both || name(both->keyfunc) != NID_id_pbkdf2) return true;
  const std::unique_ptr<PBKDF2PARAM, OpenSslDeleter<PBKDF2PARAM_free>> derivation(
      static_cast<PBKDF2PARAM*>(parameters(both->keyfunc, ASN1_ITEM_rptr(PBKDF2PARAM))));
  return !derivation || IsFewIterations(derivation->iter);
}

Result<Pkcs8Info> DecryptPkcs8(std::span<const std::uint8_t> der, std::span<const std::uint8_t> password) {
  const unsigned char* at = der.data();
  const X509Sig encrypted(d2i_X509_SIG(nullptr, &at, static_cast<long>(der.size())));
  if (!encrypted || at != der.data() + der.size()) {
    return Refuse(
        Code::kKeyFormat,
        "The private key is marked as encrypted PKCS#8 but is not. nomyo-js writes password-protected keys in "
        "a form of its own that nothing else reads: decrypt it with nomyo-js and save it without a password, "
        "or make a new key.");
  }
  const X509_ALGOR* scheme = nullptr;
  X509_SIG_get0(encrypted.get(), &scheme, nullptr);
  if (!IsBoundedWork(scheme)) {
    return Refuse(Code::kKeyFormat, "The private key's encryption asks for more than 100 000 000 iterations.");
  }
  Pkcs8Info info(PKCS8_decrypt_ex(encrypted.get(), reinterpret_cast<const char*>(password.data()),
                                  static_cast<int>(password.size()), nullptr, nullptr));
  if (!info) return Refuse(Code::kKeyPassword, "The private key does not open with this password.");
  return info;
}

}  // namespace

Result<RsaPublicKey> RsaPublicKey::FromDer(std::span<const std::uint8_t> spki, int least_bits) {
  ClearOpenSslError();
  const unsigned char* at = spki.data();
  EvpPkey key(d2i_PUBKEY(nullptr, &at, static_cast<long>(spki.size())));
  if (!key || at != spki.data() + spki.size()) {
    return Refuse(Code::kKeyFormat, "The public key is not a PEM SubjectPublicKeyInfo.");
  }
  const Status numbers = CheckPublicNumbers(key.get(), least_bits);
  if (!numbers) return numbers.error();
  // Only the one canonical encoding: a pin is the digest of these bytes, so that there must not be a second form.
  unsigned char* again = nullptr;
  const int length = i2d_PUBKEY(key.get(), &again);
  const bool canonical = length >= 0 && static_cast<std::size_t>(length) == spki.size() &&
                         std::memcmp(again, spki.data(), spki.size()) == 0;
  OPENSSL_free(again);
  if (!canonical) return Refuse(Code::kKeyFormat, "The public key is not encoded as DER says.");
  auto digest = Sha256(spki);
  if (!digest) return digest.error();
  auto pem = WritePem("PUBLIC KEY", spki);
  if (!pem) return pem.error();
  const int bits = EVP_PKEY_get_bits(key.get());
  return RsaPublicKey(std::move(key), bits, std::string(reinterpret_cast<const char*>(pem->data()), pem->size()),
                      Hex(*digest));
}

Result<RsaPublicKey> RsaPublicKey::Import(std::string_view pem, int least_bits, int most_bits) {
  // Twice what the longest key that is accepted needs.
  constexpr std::size_t kMostPemBytes = 4096;
  if (pem.size() > kMostPemBytes) {
    return Error{Code::kKeyFormat, "The public key is too long for a PEM SubjectPublicKeyInfo of RSA."};
  }
  auto block = ReadPem({reinterpret_cast<const std::uint8_t*>(pem.data()), pem.size()});
  if (!block) return block.error();
  if (block->label != "PUBLIC KEY") {
    return Refuse(Code::kKeyFormat, "The public key is not a PEM SubjectPublicKeyInfo ('BEGIN PUBLIC KEY').");
  }
  auto key = FromDer(block->der.bytes(), least_bits);
  if (!key) return key;
  most_bits = std::min(most_bits, kRsaMostPublicBits);
  if (key->bits() > most_bits) {
    return Error{Code::kKeyWeak, "The RSA key has " + std::to_string(key->bits()) + " bits; at most " +
                                     std::to_string(most_bits) + " are accepted, because of the work they cost."};
  }
  const BigNum e = Parameter(key->get(), OSSL_PKEY_PARAM_RSA_E);
  if (!e) return CryptoError("reading the RSA key");
  if (BN_num_bits(e.get()) > kRsaMostPublicExponentBits) {
    return Error{Code::kKeyWeak,
                 "The RSA key's public exponent has more than 32 bits, which costs too much work; 65537 is usual."};
  }
  return key;
}

Result<RsaPrivateKey> RsaPrivateKey::Generate(int bits, const Cancellation* cancellation) {
  if (bits != 2048 && bits != 3072 && bits != 4096) {
    return Error{Code::kInvalidArgument, "An RSA key has 2048, 3072 or 4096 bits."};
  }
  ClearOpenSslError();
  const EvpPkeyCtx context(EVP_PKEY_CTX_new_from_name(nullptr, "RSA", nullptr));
  EVP_PKEY* key = nullptr;
  if (!context || EVP_PKEY_keygen_init(context.get()) != 1 ||
      EVP_PKEY_CTX_set_rsa_keygen_bits(context.get(), bits) != 1) {
    return CryptoError("RSA key generation");
  }
  // OpenSSL calls this at each candidate for a prime, and gives up when it returns 0.
  EVP_PKEY_CTX_set_app_data(context.get(), const_cast<Cancellation*>(cancellation));
  EVP_PKEY_CTX_set_cb(context.get(), [](EVP_PKEY_CTX* asked) {
    return IsCancelled(static_cast<const Cancellation*>(EVP_PKEY_CTX_get_app_data(asked))) ? 0 : 1;
  });
  if (EVP_PKEY_generate(context.get(), &key) != 1) {
    if (IsCancelled(cancellation)) return OpenSslError({Code::kCancelled, "The work was cancelled."});
    return CryptoError("RSA key generation");
  }
  return Make(EvpPkey(key));
}

Result<RsaPrivateKey> RsaPrivateKey::Import(std::span<const std::uint8_t> pem,
                                            std::optional<std::span<const std::uint8_t>> password) {
  ClearOpenSslError();
  auto block = ReadPem(pem);
  if (!block) return block.error();
  const std::string& label = block->label;
  const bool encrypted = label == "ENCRYPTED PRIVATE KEY";
  if (encrypted && !password) return Error{Code::kKeyPassword, "The private key is encrypted: its password is needed."};
  if (!encrypted && password) {
    return Error{Code::kKeyPassword,
                 "The private key is not encrypted, but a password was given for it. Encrypt it, or leave the password "
                 "out."};
  }
  EvpPkey key;
  if (encrypted || label == "PRIVATE KEY") {
    auto info = encrypted ? DecryptPkcs8(block->der.bytes(), *password) : ReadPkcs8(block->der.bytes());
    if (!info) return info.error();
    key.reset(EVP_PKCS82PKEY_ex(info->get(), nullptr, nullptr));
  } else if (label == "RSA PRIVATE KEY") {
    const unsigned char* at = block->der.data();
    key.reset(d2i_PrivateKey(EVP_PKEY_RSA, nullptr, &at, static_cast<long>(block->der.size())));
    if (key && at != block->der.data() + block->der.size()) key.reset();
  } else if (label == "EC PRIVATE KEY" || label == "DSA PRIVATE KEY") {
    return Error{Code::kKeyWeak, "The key is not an RSA key."};
  } else {
    return Error{Code::kKeyFormat, "The key is not a private key in PKCS#8 or PKCS#1 PEM."};
  }
  if (!key) return Refuse(Code::kKeyFormat, "The private key cannot be read.");
  Status status = CheckPublicNumbers(key.get(), kRsaLeastBits);
  if (status) status = CheckPrivateNumbers(key.get());
  if (!status) return status.error();
  return Make(std::move(key));
}

Result<RsaPrivateKey> RsaPrivateKey::Make(EvpPkey key) {
  auto context = PrepareOaepDecryption(key.get());
  if (!context) return context.error();
  return RsaPrivateKey(std::move(key), std::move(*context));
}

Result<SecureBuffer> RsaPrivateKey::Export(std::optional<std::span<const std::uint8_t>> password) const {
  if (password && password->size() < kPasswordLeastBytes) {
    return Error{Code::kKeyPassword, "A key password must have at least 8 characters."};
  }
  ClearOpenSslError();
  const Pkcs8Info info(EVP_PKEY2PKCS8(key_.get()));
  if (!info) return CryptoError("writing the private key");
  X509Sig encrypted;
  if (password) {
    encrypted.reset(PKCS8_encrypt_ex(-1, Algorithms::Get().aes_256_cbc, reinterpret_cast<const char*>(password->data()),
                                     static_cast<int>(password->size()), nullptr, kPbkdf2SaltBytes, kPbkdf2Iterations,
                                     info.get(), nullptr, nullptr));
    if (!encrypted) return CryptoError("encrypting the private key");
  }
  const auto encode = [&](unsigned char** out) {
    return encrypted ? i2d_X509_SIG(encrypted.get(), out) : i2d_PKCS8_PRIV_KEY_INFO(info.get(), out);
  };
  const int length = encode(nullptr);
  if (length <= 0) return CryptoError("writing the private key");
  auto der = SecureBuffer::Allocate(static_cast<std::size_t>(length));
  if (!der) return der.error();
  unsigned char* at = der->data();
  if (encode(&at) != length) return CryptoError("writing the private key");
  return WritePem(encrypted ? "ENCRYPTED PRIVATE KEY" : "PRIVATE KEY", der->bytes());
}

Result<RsaPublicKey> RsaPrivateKey::PublicKey() const {
  ClearOpenSslError();
  unsigned char* spki = nullptr;
  const int length = i2d_PUBKEY(key_.get(), &spki);
  if (length <= 0) return CryptoError("writing the public key");
  auto key = RsaPublicKey::FromDer({spki, static_cast<std::size_t>(length)}, kRsaLeastBits);
  OPENSSL_free(spki);
  return key;
}

}  // namespace nomyo
