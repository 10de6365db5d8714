#include "test/attestation/forge.h"

#include <cstdio>
#include <cstdlib>
#include <memory>

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/rsa.h>

namespace nomyo::test {
namespace {

// A test that cannot make its input must not go on.
void Must(bool ok) {
  if (!ok) std::abort();
}

EVP_PKEY* MakeRsa(unsigned bits, unsigned exponent) {
  EVP_PKEY_CTX* context = EVP_PKEY_CTX_new_from_name(nullptr, "RSA", nullptr);
  BIGNUM* e = BN_new();
  Must(context != nullptr && e != nullptr && BN_set_word(e, exponent) == 1);
  EVP_PKEY* key = nullptr;
  Must(EVP_PKEY_keygen_init(context) == 1 && EVP_PKEY_CTX_set_rsa_keygen_bits(context, static_cast<int>(bits)) == 1 &&
       EVP_PKEY_CTX_set1_rsa_keygen_pubexp(context, e) == 1 && EVP_PKEY_keygen(context, &key) == 1);
  BN_free(e);
  EVP_PKEY_CTX_free(context);
  return key;
}

EVP_PKEY* MakeEc(const char* curve) {
  return EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", curve);
}

EVP_PKEY* MakeKey(Key key) {
  switch (key) {
    case Key::kRsa1024: return MakeRsa(1024, 65537);
    case Key::kRsa2048:
    case Key::kRsa2048Other: return MakeRsa(2048, 65537);
    case Key::kRsa3072: return MakeRsa(3072, 65537);
    case Key::kRsa4096: return MakeRsa(4096, 65537);
    case Key::kRsaExponent3: return MakeRsa(2048, 3);
    case Key::kP192: return MakeEc("prime192v1");
    case Key::kP256:
    case Key::kP256Other: return MakeEc("P-256");
    case Key::kP384: return MakeEc("P-384");
    case Key::kP521: return MakeEc("P-521");
  }
  return nullptr;
}

Bytes Number(EVP_PKEY* key, const char* name, std::size_t width) {
  BIGNUM* number = nullptr;
  Must(EVP_PKEY_get_bn_param(key, name, &number) == 1);
  Bytes bytes(width);
  Must(BN_bn2binpad(number, bytes.data(), static_cast<int>(width)) == static_cast<int>(width));
  BN_free(number);
  return bytes;
}

const EVP_MD* Md(std::uint16_t algorithm) {
  switch (algorithm) {
    case kSha1: return EVP_sha1();
    case kSha384: return EVP_sha384();
    case kSha512: return EVP_sha512();
    default:
      return EVP_sha256();  // labels that name no hash are signed with something, so that only the label is wrong
  }
}

std::string JsonString(const std::string& text) {
  std::string json = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') json += '\\';
    json += c;
  }
  return json + "\"";
}

}  // namespace

EVP_PKEY* KeyOf(Key key) {
  static std::map<Key, EVP_PKEY*> keys;
  EVP_PKEY*& made = keys[key];
  if (made == nullptr) made = MakeKey(key);
  Must(made != nullptr);
  return made;
}

Packer& Packer::Integer(std::uint64_t value, int size) {
  for (int i = size - 1; i >= 0; --i) bytes_.push_back(static_cast<std::uint8_t>(value >> (8 * i)));
  return *this;
}

Packer& Packer::Raw(const Bytes& bytes) {
  for (const std::uint8_t byte : bytes) bytes_.push_back(byte);
  return *this;
}

Packer& Packer::Sized(const Bytes& bytes) {
  return U16(static_cast<unsigned>(bytes.size())).Raw(bytes);
}

Bytes HashOf(std::uint16_t algorithm, const Bytes& bytes) {
  Bytes digest(EVP_MAX_MD_SIZE);
  unsigned size = 0;
  Must(EVP_Digest(bytes.data(), bytes.size(), digest.data(), &size, Md(algorithm), nullptr) == 1);
  digest.resize(size);
  return digest;
}

std::string Hex(const Bytes& bytes) {
  std::string text;
  for (const std::uint8_t byte : bytes) {
    char digits[3];
    std::snprintf(digits, sizeof digits, "%02x", byte);
    text += digits;
  }
  return text;
}

std::string Base64(const Bytes& bytes) {
  std::string text(4 * ((bytes.size() + 2) / 3) + 1, '\0');
  EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()), bytes.data(), static_cast<int>(bytes.size()));
  text.pop_back();
  return text;
}

const Bytes& ExpectedNonce() {
  static const Bytes nonce = {0x10, 0x21, 0x32, 0x43, 0x54, 0x65, 0x76, 0x87,
                              0x98, 0xA9, 0xBA, 0xCB, 0xDC, 0xED, 0xFE, 0x0F};
  return nonce;
}

Forgery::Forgery(Key which, std::uint16_t scheme, std::uint16_t hash)
    : key(KeyOf(which)), nonce(ExpectedNonce()), signing_key(key), signature_scheme(scheme), signature_hash(hash) {
  const bool rsa = EVP_PKEY_is_a(key, "RSA") == 1;
  type = rsa ? kRsa : kEcc;
  if (signature_scheme == 0) signature_scheme = rsa ? kRsassa : kEcdsa;
  key_scheme = signature_scheme;
  key_hash = signature_hash;
  const std::size_t width = static_cast<std::size_t>(EVP_PKEY_get_bits(key) + 7) / 8;
  if (rsa) {
    key_bits = static_cast<std::uint16_t>(width * 8);
    modulus = Number(key, OSSL_PKEY_PARAM_RSA_N, width);
  } else {
    curve = width == 24 ? 1 : width == 32 ? 3 : width == 48 ? 4 : 5;  // TPM_ECC_NIST_P192, _P256, _P384, _P521
    x = Number(key, OSSL_PKEY_PARAM_EC_PUB_X, width);
    y = Number(key, OSSL_PKEY_PARAM_EC_PUB_Y, width);
  }
  selection = {{kSha256, {0x81, 0x04, 0x00}}};
  for (const char* index : {"0", "7", "10"}) {
    pcr_values["sha256"][index] = Hex(HashOf(kSha256, Bytes(8, static_cast<std::uint8_t>(index[0]))));
  }
  pcr_values["sha256"]["10"] = Hex(HashOf(kSha256, {'i', 'm', 'a'}));
}

Bytes Forgery::Public() const {
  Packer out;
  out.U16(type).U16(name_algorithm).U32(attributes).Sized(auth_policy).U16(symmetric);
  if (symmetric != kNull) out.U16(128).U16(kCfb);
  out.U16(key_scheme);
  if (key_scheme != kNull) out.U16(key_hash);
  if (key_scheme == kEcdaa) out.U16(0);
  if (type == kRsa) {
    out.U16(key_bits).U32(exponent).Sized(modulus);
  } else {
    out.U16(curve).U16(kdf);
    if (kdf != kNull) out.U16(kSha256);
    out.Sized(x).Sized(y);
  }
  Bytes bytes = out.bytes();
  if (edit_public) edit_public(bytes);
  return bytes;
}

Bytes Forgery::Name() const {
  return Packer().U16(name_algorithm).Raw(HashOf(name_algorithm, Public())).bytes();
}

Bytes Forgery::SelectedValues() const {
  Bytes values;
  for (const auto& [bank, mask] : selection) {
    const std::string name = bank == kSha1     ? "sha1"
                             : bank == kSha384 ? "sha384"
                             : bank == kSha512 ? "sha512"
                                               : "sha256";
    for (unsigned index = 0; index < mask.size() * 8; ++index) {
      if ((mask[index / 8] >> (index % 8) & 1) == 0) continue;
      const auto pcrs = pcr_values.find(name);
      if (pcrs == pcr_values.end()) continue;
      const auto value = pcrs->second.find(std::to_string(index));
      if (value == pcrs->second.end()) continue;
      for (std::size_t i = 0; i + 1 < value->second.size(); i += 2) {
        values.push_back(static_cast<std::uint8_t>(std::stoul(value->second.substr(i, 2), nullptr, 16)));
      }
    }
  }
  return values;
}

Bytes Forgery::Quote() const {
  const Bytes qualified = qualified_signer.value_or(
      Packer().U16(name_algorithm).Raw(HashOf(name_algorithm, Packer().U32(hierarchy).Raw(Name()).bytes())).bytes());
  Packer out;
  out.U32(magic).U16(attest_type).Sized(qualified).Sized(nonce);
  out.U64(clock).U32(reset_count).U32(restart_count).U8(safe).U64(firmware);
  if (attested) {
    out.Raw(*attested);
  } else {
    out.U32(static_cast<std::uint32_t>(selection.size()));
    for (const auto& [bank, mask] : selection) {
      out.U16(bank).U8(static_cast<unsigned>(mask.size())).Raw(mask);
    }
    out.Sized(pcr_digest.value_or(HashOf(digest_hash.value_or(signature_hash), SelectedValues())));
  }
  Bytes bytes = out.bytes();
  if (edit_quote) edit_quote(bytes);
  return bytes;
}

Bytes Forgery::Signature() const {
  const Bytes quote = Quote();
  const std::uint16_t scheme = signing_scheme.value_or(signature_scheme);
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  EVP_PKEY_CTX* key_context = nullptr;
  Must(EVP_DigestSignInit(context, &key_context, Md(signing_hash.value_or(signature_hash)), nullptr, signing_key) == 1);
  const bool rsa = EVP_PKEY_is_a(signing_key, "RSA") == 1;
  if (rsa && scheme == kRsapss) {
    Must(EVP_PKEY_CTX_set_rsa_padding(key_context, RSA_PKCS1_PSS_PADDING) == 1 &&
         EVP_PKEY_CTX_set_rsa_pss_saltlen(key_context, salt_length) == 1);
  }
  std::size_t size = 0;
  Must(EVP_DigestSign(context, nullptr, &size, quote.data(), quote.size()) == 1);
  Bytes value(size);
  Must(EVP_DigestSign(context, value.data(), &size, quote.data(), quote.size()) == 1);
  value.resize(size);
  EVP_MD_CTX_free(context);

  Packer out;
  out.U16(signature_scheme);
  if (signature_scheme != kNull) out.U16(signature_hash);
  if (rsa) {
    out.Sized(value);
  } else {
    const std::uint8_t* der = value.data();
    ECDSA_SIG* parts = d2i_ECDSA_SIG(nullptr, &der, static_cast<long>(value.size()));
    Must(parts != nullptr);
    const int width = (EVP_PKEY_get_bits(signing_key) + 7) / 8;
    for (const BIGNUM* part : {ECDSA_SIG_get0_r(parts), ECDSA_SIG_get0_s(parts)}) {
      Bytes padded(static_cast<std::size_t>(width));
      Must(BN_bn2binpad(part, padded.data(), width) == width);
      out.Sized(padded);
    }
    ECDSA_SIG_free(parts);
  }
  Bytes bytes = out.bytes();
  if (edit_signature) edit_signature(bytes);
  return bytes;
}

std::string Forgery::Json() const {
  const Bytes signature = Signature();
  Bytes quote = Quote();
  // ECDSA signs anew each time, the quote is the same each time.
  if (edit_signed_quote) edit_signed_quote(quote);
  return Json(sized_quote ? Packer().Sized(quote).bytes() : quote, signature, Packer().Sized(Public()).bytes());
}

std::string Forgery::Json(const Bytes& quote, const Bytes& signature, const Bytes& aik) const {
  std::string values = "{";
  for (const auto& [bank, pcrs] : pcr_values) {
    values += (values.size() > 1 ? "," : "") + JsonString(bank) + ":{";
    bool first = true;
    for (const auto& [index, value] : pcrs) {
      values += (first ? "" : ",") + JsonString(index) + ":" + JsonString(value);
      first = false;
    }
    values += "}";
  }
  std::map<std::string, std::string> block = {
      {"is_available", "true"},
      {"pcr_banks", JsonString(pcr_banks)},
      {"pcr_values", values + "}"},
      {"quote_b64", JsonString(Base64(quote))},
      {"signature_b64", JsonString(Base64(signature))},
      {"aik_pubkey_b64", JsonString(Base64(aik))},
  };
  for (const auto& [name, text] : fields) block[name] = text;
  std::string json = "{";
  for (const auto& [name, text] : block) {
    if (text.empty()) continue;
    json += (json.size() > 1 ? "," : "") + JsonString(name) + ":" + text;
  }
  return json + "}";
}

}  // namespace nomyo::test
