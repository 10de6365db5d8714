#include "core/attestation/aik.h"

#include <algorithm>
#include <array>
#include <iterator>

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/objects.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "core/crypto/crypto_error.h"

namespace nomyo {
namespace {

struct Curve {
  TPM2_ECC_CURVE id;
  std::string_view name;
  const char* group;
  unsigned bits;
};
constexpr Curve kCurves[] = {
    {TPM2_ECC_NIST_P256, "P-256", "prime256v1", 256},
    {TPM2_ECC_NIST_P384, "P-384", "secp384r1", 384},
    {TPM2_ECC_NIST_P521, "P-521", "secp521r1", 521},
};

constexpr std::uint32_t kDefaultExponent = 65537;  // 0 on the wire, Part 2 12.2.3.5

// Attributes that an AIK must have, and those that are free. Everything else must be clear, so that a bit which some
// later version of the specification defines is refused until someone has thought about it.
constexpr TPMA_OBJECT kRequiredAttributes = TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT |
                                            TPMA_OBJECT_SENSITIVEDATAORIGIN | TPMA_OBJECT_RESTRICTED |
                                            TPMA_OBJECT_SIGN_ENCRYPT;
constexpr TPMA_OBJECT kFreeAttributes =
    TPMA_OBJECT_NODA | TPMA_OBJECT_USERWITHAUTH | TPMA_OBJECT_STCLEAR | TPMA_OBJECT_ADMINWITHPOLICY;

struct Attribute {
  TPMA_OBJECT bit;
  const char* name;
};
constexpr Attribute kAttributes[] = {
    {TPMA_OBJECT_FIXEDTPM, "fixedTPM"},
    {TPMA_OBJECT_STCLEAR, "stClear"},
    {TPMA_OBJECT_FIXEDPARENT, "fixedParent"},
    {TPMA_OBJECT_SENSITIVEDATAORIGIN, "sensitiveDataOrigin"},
    {TPMA_OBJECT_USERWITHAUTH, "userWithAuth"},
    {TPMA_OBJECT_ADMINWITHPOLICY, "adminWithPolicy"},
    {TPMA_OBJECT_NODA, "noDA"},
    {TPMA_OBJECT_ENCRYPTEDDUPLICATION, "encryptedDuplication"},
    {TPMA_OBJECT_RESTRICTED, "restricted"},
    {TPMA_OBJECT_DECRYPT, "decrypt"},
    {TPMA_OBJECT_SIGN_ENCRYPT, "sign"},
    {TPMA_OBJECT_X509SIGN, "x509sign"},
};

struct Hierarchy {
  TPM2_HANDLE handle;
  std::string_view name;
};
constexpr Hierarchy kHierarchies[] = {
    {TPM2_RH_OWNER, "owner"},
    {TPM2_RH_ENDORSEMENT, "endorsement"},
    {TPM2_RH_PLATFORM, "platform"},
    {TPM2_RH_NULL, "null"},
};

using OwnedParamBuilder = std::unique_ptr<OSSL_PARAM_BLD, OpenSslDeleter<OSSL_PARAM_BLD_free>>;
using OwnedSpki = std::unique_ptr<X509_PUBKEY, OpenSslDeleter<X509_PUBKEY_free>>;
using OwnedInteger = std::unique_ptr<ASN1_INTEGER, OpenSslDeleter<ASN1_INTEGER_free>>;
using OwnedParams = std::unique_ptr<OSSL_PARAM, OpenSslDeleter<OSSL_PARAM_free>>;

Error Refused(std::string what) {
  return {Code::kInvalidArgument, std::move(what)};
}

std::string Number(std::uint16_t id) {
  const std::uint8_t bytes[] = {static_cast<std::uint8_t>(id >> 8), static_cast<std::uint8_t>(id)};
  return "0x" + ToHex(bytes);
}

std::string Joined(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

// ImportKey makes the key, or null: the import checks that a point is on its curve.
EvpPkey ImportKey(const char* type, OSSL_PARAM_BLD* builder) {
  const OwnedParams params(OSSL_PARAM_BLD_to_param(builder));
  const EvpPkeyCtx context(EVP_PKEY_CTX_new_from_name(nullptr, type, nullptr));
  EVP_PKEY* key = nullptr;
  if (params == nullptr || context == nullptr || EVP_PKEY_fromdata_init(context.get()) != 1 ||
      EVP_PKEY_fromdata(context.get(), &key, EVP_PKEY_PUBLIC_KEY, params.get()) != 1) {
    EVP_PKEY_free(key);
    key = nullptr;
  }
  ERR_clear_error();
  return EvpPkey(key);
}

Result<AikKey> LoadRsa(const TPMT_PUBLIC& area) {
  const TPMS_RSA_PARMS& parameters = area.parameters.rsaDetail;
  const TPM2B_PUBLIC_KEY_RSA& modulus = area.unique.rsa;
  if (parameters.keyBits != 2048 && parameters.keyBits != 3072 && parameters.keyBits != 4096) {
    return Refused("The AIK is an RSA key of " + std::to_string(parameters.keyBits) +
                   " bits: only 2048, 3072 and 4096 are accepted.");
  }
  if (modulus.size * 8 != parameters.keyBits || (modulus.buffer[0] & 0x80) == 0) {
    return Refused("The AIK's RSA modulus does not have the length that it declares.");
  }
  if ((modulus.buffer[modulus.size - 1] & 1) == 0) return Refused("The AIK's RSA modulus is even.");
  if (parameters.exponent != 0 && parameters.exponent != kDefaultExponent) {
    return Refused("The AIK's RSA exponent is " + std::to_string(parameters.exponent) + ", not 65537.");
  }
  const OwnedParamBuilder builder(OSSL_PARAM_BLD_new());
  const BigNum n(BN_bin2bn(modulus.buffer, modulus.size, nullptr));
  if (builder == nullptr || n == nullptr ||
      OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_N, n.get()) != 1 ||
      OSSL_PARAM_BLD_push_uint(builder.get(), OSSL_PKEY_PARAM_RSA_E, kDefaultExponent) != 1) {
    return CryptoError("loading the AIK");
  }
  AikKey loaded{ImportKey("RSA", builder.get()), true, parameters.keyBits, {}};
  if (loaded.key == nullptr) return Refused("The AIK is not an RSA key.");
  return loaded;
}

Result<AikKey> LoadEcc(const TPMT_PUBLIC& area) {
  const auto* curve = std::ranges::find(kCurves, area.parameters.eccDetail.curveID, &Curve::id);
  if (curve == std::end(kCurves)) {
    return Refused("The AIK is on the curve with the number " + Number(area.parameters.eccDetail.curveID) +
                   ", which is none of P-256, P-384 and P-521.");
  }
  const std::size_t width = (curve->bits + 7) / 8;
  const TPM2B_ECC_PARAMETER& x = area.unique.ecc.x;
  const TPM2B_ECC_PARAMETER& y = area.unique.ecc.y;
  if (x.size > width || y.size > width) return Refused("The AIK's point has coordinates longer than its curve.");
  // Uncompressed point (SEC 1 2.3.3); TPMs may leave out leading zeros. Infinity has no such form: (0, 0) is on none of
  // these curves.
  Bytes point(1 + 2 * width);
  point[0] = 4;
  std::copy_n(x.buffer, x.size, point.begin() + static_cast<std::ptrdiff_t>(1 + width - x.size));
  std::copy_n(y.buffer, y.size, point.end() - y.size);
  const OwnedParamBuilder builder(OSSL_PARAM_BLD_new());
  if (builder == nullptr ||
      OSSL_PARAM_BLD_push_utf8_string(builder.get(), OSSL_PKEY_PARAM_GROUP_NAME, curve->group, 0) != 1 ||
      OSSL_PARAM_BLD_push_octet_string(builder.get(), OSSL_PKEY_PARAM_PUB_KEY, point.data(), point.size()) != 1) {
    return CryptoError("loading the AIK");
  }
  AikKey loaded{ImportKey("EC", builder.get()), false, curve->bits, curve->name};
  if (loaded.key == nullptr) return Refused("The AIK's point is not on its curve.");
  return loaded;
}

constexpr const char* kWritingPem = "writing the AIK as PEM";

// RsaPublicKeyDer returns RSAPublicKey (RFC 8017 A.1.1); nothing when there is no memory.
Bytes RsaPublicKeyDer(EVP_PKEY* key) {
  OwnedInteger numbers[2];
  int content = 0;
  for (int i = 0; i < 2; ++i) {
    BIGNUM* number = nullptr;
    EVP_PKEY_get_bn_param(key, i == 0 ? OSSL_PKEY_PARAM_RSA_N : OSSL_PKEY_PARAM_RSA_E, &number);
    const BigNum owned(number);
    if (number != nullptr) numbers[i].reset(BN_to_ASN1_INTEGER(number, nullptr));
    const int size = numbers[i] == nullptr ? 0 : i2d_ASN1_INTEGER(numbers[i].get(), nullptr);
    if (size <= 0) return {};
    content += size;
  }
  Bytes der(static_cast<std::size_t>(ASN1_object_size(1, content, V_ASN1_SEQUENCE)));
  std::uint8_t* at = der.data();
  ASN1_put_object(&at, 1, content, V_ASN1_SEQUENCE, V_ASN1_UNIVERSAL);
  for (const OwnedInteger& number : numbers) i2d_ASN1_INTEGER(number.get(), &at);
  return der;
}

// EccPoint returns the uncompressed point (SEC 1 2.3.3); nothing when there is no memory.
Bytes EccPoint(EVP_PKEY* key) {
  std::uint8_t* point = nullptr;
  const std::size_t size = EVP_PKEY_get1_encoded_public_key(key, &point);
  const Bytes bytes(point, point + size);
  OPENSSL_free(point);
  return bytes;
}

}  // namespace

std::vector<std::string> AttributeNames(TPMA_OBJECT attributes) {
  std::vector<std::string> names;
  for (const Attribute& attribute : kAttributes) {
    if ((attributes & attribute.bit) != 0) names.emplace_back(attribute.name);
    attributes &= ~attribute.bit;
  }
  if (attributes != 0) {
    const std::uint8_t bytes[] = {static_cast<std::uint8_t>(attributes >> 24),
                                  static_cast<std::uint8_t>(attributes >> 16),
                                  static_cast<std::uint8_t>(attributes >> 8), static_cast<std::uint8_t>(attributes)};
    names.push_back("reserved 0x" + ToHex(bytes));
  }
  return names;
}

Result<AikKey> LoadAikKey(const TPMT_PUBLIC& area) {
  if (area.type == TPM2_ALG_RSA) return LoadRsa(area);
  if (area.type == TPM2_ALG_ECC) return LoadEcc(area);
  return Refused("The AIK is neither an RSA nor an elliptic-curve key, but of the type " + Number(area.type) + ".");
}

Status CheckAikAttributes(const TPMT_PUBLIC& area) {
  if (!IsSignatureHash(area.nameAlg)) {
    return Refused("The AIK's name algorithm is " + HashName(area.nameAlg) +
                   ": make the AIK with nameAlg SHA-256, SHA-384 or SHA-512.");
  }
  const TPMA_OBJECT attributes = area.objectAttributes;
  if ((attributes & kRequiredAttributes) != kRequiredAttributes) {
    return Refused("The AIK lacks " + Joined(AttributeNames(kRequiredAttributes & ~attributes)) +
                   ": it could have signed anything, or lie outside a TPM. An AIK needs " +
                   Joined(AttributeNames(kRequiredAttributes)) + ".");
  }
  if (const TPMA_OBJECT excess = attributes & ~(kRequiredAttributes | kFreeAttributes); excess != 0) {
    return Refused("The AIK has " + Joined(AttributeNames(excess)) +
                   " set, which a key that only signs does not have.");
  }
  const bool plain = area.type == TPM2_ALG_RSA ? area.parameters.rsaDetail.symmetric.algorithm == TPM2_ALG_NULL
                                               : area.type == TPM2_ALG_ECC &&
                                                     area.parameters.eccDetail.symmetric.algorithm == TPM2_ALG_NULL &&
                                                     area.parameters.eccDetail.kdf.scheme == TPM2_ALG_NULL;
  if (!plain) return Refused("The AIK names a symmetric algorithm or a key derivation, as signing keys never do.");
  return Status::Ok();
}

AikScheme AikSchemeOf(const TPMT_PUBLIC& area) {
  // For every signing scheme the hash comes first in its details; RSAES has none, but no AIK has RSAES.
  if (area.type == TPM2_ALG_RSA && area.parameters.rsaDetail.scheme.scheme != TPM2_ALG_NULL) {
    return {area.parameters.rsaDetail.scheme.scheme, area.parameters.rsaDetail.scheme.details.anySig.hashAlg};
  }
  if (area.type == TPM2_ALG_ECC && area.parameters.eccDetail.scheme.scheme != TPM2_ALG_NULL) {
    return {area.parameters.eccDetail.scheme.scheme, area.parameters.eccDetail.scheme.details.anySig.hashAlg};
  }
  return {TPM2_ALG_NULL, 0};
}

Result<Bytes> AikName(const PublicArea& aik) {
  const HashAlgorithm* hash = HashById(aik.area.nameAlg);
  if (hash == nullptr) return Refused("The AIK's name algorithm is not known.");
  Result<Bytes> digest = Digest(*hash, {aik.bytes});
  if (!digest) return digest;
  Bytes name = {static_cast<std::uint8_t>(hash->id >> 8), static_cast<std::uint8_t>(hash->id)};
  name.insert(name.end(), digest->begin(), digest->end());
  return name;
}

Result<std::string_view> PrimaryHierarchy(ByteView name, ByteView qualified_name) {
  const HashAlgorithm* hash = HashById(static_cast<std::uint16_t>(name[0] << 8 | name[1]));
  for (const Hierarchy& hierarchy : kHierarchies) {
    const TPM2_HANDLE h = hierarchy.handle;
    const std::uint8_t handle[] = {static_cast<std::uint8_t>(h >> 24), static_cast<std::uint8_t>(h >> 16),
                                   static_cast<std::uint8_t>(h >> 8), static_cast<std::uint8_t>(h)};
    Result<Bytes> digest = Digest(*hash, {handle, name});
    if (!digest) return digest.error();
    if (std::ranges::equal(qualified_name.first(2), name.first(2)) && EqualBytes(*digest, qualified_name.subspan(2))) {
      return hierarchy.name;
    }
  }
  return std::string_view();
}

std::string SchemeName(TPM2_ALG_ID scheme, TPM2_ALG_ID hash) {
  if (scheme == TPM2_ALG_NULL) return "none";
  std::string name;
  switch (scheme) {
    case TPM2_ALG_RSASSA: name = "rsassa"; break;
    case TPM2_ALG_RSAPSS: name = "rsapss"; break;
    case TPM2_ALG_ECDSA: name = "ecdsa"; break;
    case TPM2_ALG_ECDAA: name = "ecdaa"; break;
    case TPM2_ALG_SM2: name = "sm2"; break;
    case TPM2_ALG_ECSCHNORR: name = "ecschnorr"; break;
    case TPM2_ALG_HMAC: name = "hmac"; break;
    default: name = Number(scheme);
  }
  return name + "-" + HashName(hash);
}

// By ASN.1 templates alone: PEM_write_bio_PUBKEY looks for an encoder among OpenSSL's providers each time, which took
// as long as checking a signature.
Result<std::string> KeyPem(EVP_PKEY* key) {
  const bool rsa = EVP_PKEY_is_a(key, "RSA") == 1;
  const Bytes bits = rsa ? RsaPublicKeyDer(key) : EccPoint(key);
  char group[64] = "";
  if (!rsa) EVP_PKEY_get_group_name(key, group, sizeof(group), nullptr);
  const int curve = OBJ_sn2nid(group);
  const OwnedSpki spki(X509_PUBKEY_new());
  std::uint8_t* owned = static_cast<std::uint8_t*>(OPENSSL_memdup(bits.data(), bits.size()));
  if (bits.empty() || (!rsa && curve == NID_undef) || spki == nullptr || owned == nullptr ||
      X509_PUBKEY_set0_param(spki.get(), OBJ_nid2obj(rsa ? NID_rsaEncryption : NID_X9_62_id_ecPublicKey),
                             rsa ? V_ASN1_NULL : V_ASN1_OBJECT, rsa ? nullptr : OBJ_nid2obj(curve), owned,
                             static_cast<int>(bits.size())) != 1) {
    OPENSSL_free(owned);
    return CryptoError(kWritingPem);
  }
  std::uint8_t* der = nullptr;
  const int der_size = i2d_X509_PUBKEY(spki.get(), &der);
  const Bio bio(BIO_new(BIO_s_mem()));
  const bool written =
      der_size > 0 && bio != nullptr && PEM_write_bio(bio.get(), PEM_STRING_PUBLIC, "", der, der_size) > 0;
  OPENSSL_free(der);
  if (!written) return CryptoError(kWritingPem);
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &data);
  return std::string(data, static_cast<std::size_t>(size));
}

}  // namespace nomyo
