#include "core/tpm/structure_walk.h"

#include <cstddef>
#include <cstdint>

#include <tss2/tss2_tpm2_types.h>

namespace nomyo {
namespace {

// Walk stands at a place in the bytes; once it fell, it stays fallen, and reads zeros.
class Walk {
 public:
  explicit Walk(ByteView bytes) : left_(bytes) {}

  std::uint32_t Number(std::size_t size) {
    if (!Skip(size)) return 0;
    std::uint32_t value = 0;
    for (std::size_t i = 0; i < size; ++i) value = value << 8 | passed_[i];
    return value;
  }
  std::uint16_t U16() { return static_cast<std::uint16_t>(Number(2)); }

  bool Skip(std::size_t size) {
    if (!standing_ || size > left_.size()) return Fall();
    passed_ = left_.first(size);
    left_ = left_.subspan(size);
    return true;
  }

  // A TPM2B of at most `most` bytes.
  void Sized(std::size_t most) {
    const std::size_t size = U16();
    if (size > most) Fall();
    Skip(size);
  }

  bool Fall() {
    standing_ = false;
    return false;
  }

  bool AtEnd() const { return standing_ && left_.empty(); }

 private:
  ByteView left_;
  ByteView passed_;
  bool standing_ = true;
};

// TPMT_SYM_DEF_OBJECT (11.1.7): block ciphers have key bits and a mode.
void Symmetric(Walk& walk) {
  switch (walk.U16()) {
    case TPM2_ALG_NULL: return;
    case TPM2_ALG_AES:
    case TPM2_ALG_SM4:
    case TPM2_ALG_CAMELLIA: walk.Skip(4); return;
    default: walk.Fall();
  }
}

// TPMT_RSA_SCHEME and TPMT_ECC_SCHEME (12.2.3.3): most have a hash.
void AsymmetricScheme(Walk& walk) {
  switch (walk.U16()) {
    case TPM2_ALG_NULL:
    case TPM2_ALG_RSAES: return;
    case TPM2_ALG_RSASSA:
    case TPM2_ALG_RSAPSS:
    case TPM2_ALG_OAEP:
    case TPM2_ALG_ECDSA:
    case TPM2_ALG_SM2:
    case TPM2_ALG_ECSCHNORR:
    case TPM2_ALG_ECDH:
    case TPM2_ALG_ECMQV: walk.Skip(2); return;
    case TPM2_ALG_ECDAA: walk.Skip(4); return;
    default: walk.Fall();
  }
}

// TPMT_KDF_SCHEME (11.2.3.2).
void Kdf(Walk& walk) {
  switch (walk.U16()) {
    case TPM2_ALG_NULL: return;
    case TPM2_ALG_MGF1:
    case TPM2_ALG_KDF1_SP800_56A:
    case TPM2_ALG_KDF2:
    case TPM2_ALG_KDF1_SP800_108: walk.Skip(2); return;
    default: walk.Fall();
  }
}

// TPMT_KEYEDHASH_SCHEME (11.1.23).
void KeyedHashScheme(Walk& walk) {
  switch (walk.U16()) {
    case TPM2_ALG_NULL: return;
    case TPM2_ALG_HMAC: walk.Skip(2); return;
    case TPM2_ALG_XOR: walk.Skip(4); return;
    default: walk.Fall();
  }
}

// TPMU_HA (10.3.1), which is as long as its hash.
void Digest(Walk& walk, std::uint16_t hash) {
  if (const HashAlgorithm* known = HashById(hash)) {
    walk.Skip(known->size);
  } else if (hash == TPM2_ALG_SM3_256) {
    walk.Skip(TPM2_SM3_256_DIGEST_SIZE);
  } else {
    walk.Fall();
  }
}

}  // namespace

bool WalksAsQuote(ByteView bytes) {
  Walk walk(bytes);
  if (walk.Number(4) != TPM2_GENERATED_VALUE || walk.U16() != TPM2_ST_ATTEST_QUOTE) return false;
  walk.Sized(sizeof TPM2B_NAME{}.name);
  walk.Sized(sizeof TPM2B_DATA{}.buffer);
  walk.Skip(8 + 4 + 4);                  // TPMS_CLOCK_INFO: clock, resetCount, restartCount
  if (walk.Number(1) > 1) return false;  // its `safe`, TPMI_YES_NO
  walk.Skip(8);                          // firmwareVersion
  const std::uint32_t banks = walk.Number(4);
  if (banks > TPM2_NUM_PCR_BANKS) return false;
  for (std::uint32_t i = 0; i < banks; ++i) {
    walk.Skip(2);
    const std::uint32_t selected = walk.Number(1);
    if (selected > TPM2_PCR_SELECT_MAX) return false;
    walk.Skip(selected);
  }
  walk.Sized(sizeof TPM2B_DIGEST{}.buffer);
  return walk.AtEnd();
}

bool WalksAsSignature(ByteView bytes) {
  Walk walk(bytes);
  switch (walk.U16()) {
    case TPM2_ALG_NULL: break;
    case TPM2_ALG_RSASSA:
    case TPM2_ALG_RSAPSS:
      walk.Skip(2);
      walk.Sized(sizeof TPM2B_PUBLIC_KEY_RSA{}.buffer);
      break;
    case TPM2_ALG_ECDSA:
    case TPM2_ALG_ECDAA:
    case TPM2_ALG_SM2:
    case TPM2_ALG_ECSCHNORR:
      walk.Skip(2);
      walk.Sized(sizeof TPM2B_ECC_PARAMETER{}.buffer);
      walk.Sized(sizeof TPM2B_ECC_PARAMETER{}.buffer);
      break;
    case TPM2_ALG_HMAC: Digest(walk, walk.U16()); break;
    default: return false;
  }
  return walk.AtEnd();
}

bool WalksAsPublic(ByteView bytes) {
  Walk walk(bytes);
  const std::uint16_t type = walk.U16();
  walk.Skip(2 + 4);  // nameAlg, objectAttributes
  walk.Sized(sizeof TPM2B_DIGEST{}.buffer);
  switch (type) {
    case TPM2_ALG_RSA:
      Symmetric(walk);
      AsymmetricScheme(walk);
      walk.Skip(2 + 4);  // keyBits, exponent
      walk.Sized(sizeof TPM2B_PUBLIC_KEY_RSA{}.buffer);
      break;
    case TPM2_ALG_ECC:
      Symmetric(walk);
      AsymmetricScheme(walk);
      walk.Skip(2);  // curveID
      Kdf(walk);
      walk.Sized(sizeof TPM2B_ECC_PARAMETER{}.buffer);
      walk.Sized(sizeof TPM2B_ECC_PARAMETER{}.buffer);
      break;
    case TPM2_ALG_KEYEDHASH:
      KeyedHashScheme(walk);
      walk.Sized(sizeof TPM2B_DIGEST{}.buffer);
      break;
    case TPM2_ALG_SYMCIPHER:
      Symmetric(walk);
      walk.Sized(sizeof TPM2B_DIGEST{}.buffer);
      break;
    default: return false;
  }
  return walk.AtEnd();
}

}  // namespace nomyo
