// Aik: the attestation identity key of a block: is it a key that a TPM would keep for signing its own statements only?
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/crypto/openssl_types.h"
#include "core/result.h"
#include "core/tpm/structures.h"

namespace nomyo {

// All functions: any thread; errors are kInvalidArgument with a sentence; kCrypto, kMemoryLock, kOutOfMemory.

// AikKey is the public key, as our libcrypto holds it, after the checks of AIK_TYPE.
struct AikKey {
  EvpPkey key;
  bool rsa = false;
  unsigned bits = 0;       // of the modulus, or of the curve's field
  std::string_view curve;  // `P-256`, `P-384`, `P-521`; empty for RSA
};

// LoadAikKey checks AIK_TYPE: RSA of 2048, 3072 or 4096 bits with an odd modulus of exactly that length and exponent
// 65537, or a point other than infinity on P-256, P-384 or P-521.
Result<AikKey> LoadAikKey(const TPMT_PUBLIC& area);

// CheckAikAttributes checks AIK_ATTRIBUTES (Part 2 8.3): a restricted signing key that was made inside its TPM and
// cannot leave it, with no other use and no reserved bit, named by SHA-2.
Status CheckAikAttributes(const TPMT_PUBLIC& area);

// AttributeNames lists the attributes that are set, as Part 2 8.3 names them (camel case without prefix), and those
// that it reserves as one number: `reserved 0x80000000`.
std::vector<std::string> AttributeNames(TPMA_OBJECT attributes);

// AikScheme is the signing scheme of the key (Part 2 12.2.3.4); TPM2_ALG_NULL and 0 where it has none.
struct AikScheme {
  TPM2_ALG_ID scheme;
  TPM2_ALG_ID hash;
};
AikScheme AikSchemeOf(const TPMT_PUBLIC& area);

// AikName returns the key's name (Part 1 16): nameAlg and the hash of the public area as received. Only for a nameAlg
// that CheckAikAttributes accepts.
Result<Bytes> AikName(const PublicArea& aik);

// PrimaryHierarchy returns the hierarchy (`owner`, `endorsement`, `platform`, `null`) in which a primary key of this
// name has the qualified name `qualified_name` (Part 1 26.5); empty when none fits: a child key, or not this key.
Result<std::string_view> PrimaryHierarchy(ByteView name, ByteView qualified_name);

// SchemeName returns `rsassa-sha256` and the like; parts that are not known by their numbers, `none` for no scheme.
std::string SchemeName(TPM2_ALG_ID scheme, TPM2_ALG_ID hash);

// KeyPem returns SubjectPublicKeyInfo in PEM (RFC 7468 13).
Result<std::string> KeyPem(EVP_PKEY* key);

}  // namespace nomyo
