// Forgery: a TPM's answer made without a TPM. Test code that packs every structure by hand from the specification
// (TPM 2.0 Part 2), so that the verifier's own parsing is not what makes its input, and signs with soft keys.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <openssl/evp.h>

namespace nomyo::test {

using Bytes = std::vector<std::uint8_t>;

// TPM_ALG_ID and the like, from the specification's tables rather than from a header of the code under test.
inline constexpr std::uint16_t kRsa = 0x0001, kSha1 = 0x0004, kHmac = 0x0005, kAes = 0x0006, kSha256 = 0x000B,
                               kSha384 = 0x000C, kSha512 = 0x000D, kNull = 0x0010, kRsassa = 0x0014, kRsapss = 0x0016,
                               kEcdsa = 0x0018, kEcdaa = 0x001A, kSm2 = 0x001B, kEcschnorr = 0x001C, kKdf1 = 0x0020,
                               kEcc = 0x0023, kCfb = 0x0043;
inline constexpr std::uint32_t kOwner = 0x40000001, kNullHierarchy = 0x40000007, kEndorsement = 0x4000000B,
                               kPlatform = 0x4000000C;
inline constexpr std::uint32_t kFixedTpm = 1U << 1, kStClear = 1U << 2, kFixedParent = 1U << 4,
                               kSensitiveDataOrigin = 1U << 5, kUserWithAuth = 1U << 6, kAdminWithPolicy = 1U << 7,
                               kNoDa = 1U << 10, kEncryptedDuplication = 1U << 11, kRestricted = 1U << 16,
                               kDecrypt = 1U << 17, kSign = 1U << 18, kX509Sign = 1U << 19;

enum class Key {
  kRsa1024,
  kRsa2048,
  kRsa2048Other,
  kRsa3072,
  kRsa4096,
  kRsaExponent3,
  kP192,
  kP256,
  kP256Other,
  kP384,
  kP521
};

// KeyOf returns a key that is made once in each process. Not to be freed.
EVP_PKEY* KeyOf(Key key);

// Packer writes big-endian.
class Packer {
 public:
  Packer& U8(unsigned value) { return Integer(value, 1); }
  Packer& U16(unsigned value) { return Integer(value, 2); }
  Packer& U32(std::uint32_t value) { return Integer(value, 4); }
  Packer& U64(std::uint64_t value) { return Integer(value, 8); }
  Packer& Raw(const Bytes& bytes);
  Packer& Sized(const Bytes& bytes);  // TPM2B: 16-bit size, then the bytes
  const Bytes& bytes() const { return bytes_; }

 private:
  Packer& Integer(std::uint64_t value, int size);
  Bytes bytes_;
};

Bytes HashOf(std::uint16_t algorithm, const Bytes& bytes);
std::string Hex(const Bytes& bytes);
std::string Base64(const Bytes& bytes);

// Forgery starts as a block that verifies; a test changes one thing. Everything that depends on it follows, unless the
// test overrides that too.
struct Forgery {
  explicit Forgery(Key key = Key::kRsa2048, std::uint16_t scheme = 0, std::uint16_t hash = kSha256);

  // TPMT_PUBLIC
  EVP_PKEY* key;
  std::uint16_t type, name_algorithm = kSha256;
  std::uint32_t attributes = kFixedTpm | kFixedParent | kSensitiveDataOrigin | kUserWithAuth | kRestricted | kSign;
  Bytes auth_policy;
  std::uint16_t symmetric = kNull;  // with kAes: 128 bits, CFB
  std::uint16_t key_scheme, key_hash;
  std::uint16_t key_bits = 0;
  std::uint32_t exponent = 0;
  Bytes modulus;
  std::uint16_t curve = 0, kdf = kNull;
  Bytes x, y;

  // TPMS_ATTEST
  std::uint32_t magic = 0xFF544347;
  std::uint16_t attest_type = 0x8018;
  std::uint32_t hierarchy = kEndorsement;  // of which the AIK is said to be a primary
  std::optional<Bytes> qualified_signer;
  Bytes nonce;  // the expected one at first
  std::uint64_t clock = 81234567890123;
  std::uint32_t reset_count = 4711, restart_count = 42;
  std::uint8_t safe = 1;
  std::uint64_t firmware = 0x2019081900112233;
  std::vector<std::pair<std::uint16_t, Bytes>> selection;  // bank, pcrSelect
  std::optional<std::uint16_t> digest_hash;
  std::optional<Bytes> pcr_digest;
  std::optional<Bytes> attested;  // another union member than TPMS_QUOTE_INFO

  // TPMT_SIGNATURE
  EVP_PKEY* signing_key;
  std::uint16_t signature_scheme, signature_hash;
  std::optional<std::uint16_t> signing_scheme;  // what is computed, when not what the label says
  std::optional<std::uint16_t> signing_hash;
  int salt_length = -1;  // as OpenSSL counts: -1 is the digest's length, -3 the longest

  // pcr_banks and pcr_values, as text
  std::string pcr_banks = "sha256:0,7,10";
  std::map<std::string, std::map<std::string, std::string>> pcr_values;

  // Edits of the packed bytes, each after its structure is made; edit_quote is before signing.
  std::function<void(Bytes&)> edit_public, edit_quote, edit_signed_quote, edit_signature;
  bool sized_quote = false;                   // TPM2B_ATTEST
  std::map<std::string, std::string> fields;  // JSON text instead of a field of the block; "" leaves it out

  Bytes Public() const;  // TPMT_PUBLIC
  Bytes Name() const;
  Bytes Quote() const;      // TPMS_ATTEST, as signed
  Bytes Signature() const;  // TPMT_SIGNATURE
  // The values of the selection, in its order of banks and ascending indices.
  Bytes SelectedValues() const;

  // Json puts the block together.
  std::string Json() const;
  // The same of structures that were made before: what is in quote_b64, signature_b64, aik_pubkey_b64 as it is.
  std::string Json(const Bytes& quote, const Bytes& signature, const Bytes& aik) const;
};

// The 16 bytes that every Forgery is made for.
const Bytes& ExpectedNonce();

}  // namespace nomyo::test
