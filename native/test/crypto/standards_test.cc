// The attacks that others have collected, through the functions that production uses: Project Wycheproof's vectors for
// RSA-OAEP and AES-GCM, and NIST's for AES-GCM (test/vectors/standards; each file names its source and what was cut).
// Every verdict is compared. Where ours is another than theirs, the reason stands beside it, and how often it is so.
#include <algorithm>
#include <array>
#include <cstdint>
#include <fstream>
#include <iterator>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "core/crypto/aes_gcm.h"
#include "core/crypto/pem.h"
#include "core/crypto/rsa_key.h"
#include "core/crypto/rsa_oaep.h"
#include "core/envelope/opener.h"
#include "core/json/base64.h"
#include "test/bytes.h"

namespace nomyo {
namespace {

using Bytes = std::vector<std::uint8_t>;
using Verdicts = std::map<std::string, int>;

std::string ReadStandard(const std::string& name) {
  std::ifstream file(std::string(NOMYO_VECTORS_DIR) + "/standards/" + name, std::ios::binary);
  std::string text{std::istreambuf_iterator<char>(file), {}};
  EXPECT_FALSE(text.empty()) << name;
  return text;
}

Bytes FromHex(std::string_view hex) {
  Bytes bytes;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
    bytes.push_back(static_cast<std::uint8_t>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16)));
  }
  return bytes;
}

template <std::size_t N>
std::array<std::uint8_t, N> Fixed(const Bytes& bytes) {
  EXPECT_EQ(bytes.size(), N);
  std::array<std::uint8_t, N> fixed{};
  std::copy_n(bytes.begin(), std::min(N, bytes.size()), fixed.begin());
  return fixed;
}

Bytes Copy(const SecureBuffer& buffer) {
  return {buffer.data(), buffer.data() + buffer.size()};
}

std::string Base64(std::span<const std::uint8_t> bytes) {
  std::string text(Base64EncodedSize(bytes.size()), '\0');
  Base64Encode(bytes, text.data());
  return text;
}

std::string Package(std::span<const std::uint8_t> wrapped, std::span<const std::uint8_t> nonce,
                    std::span<const std::uint8_t> ciphertext, std::span<const std::uint8_t> tag) {
  return R"({"version":"1.0","algorithm":"hybrid-aes256-rsa4096","encrypted_payload":{"ciphertext":")" +
         Base64(ciphertext) + R"(","nonce":")" + Base64(nonce) + R"(","tag":")" + Base64(tag) +
         R"("},"encrypted_aes_key":")" + Base64(wrapped) +
         R"(","key_algorithm":"RSA-OAEP-SHA256","payload_algorithm":"AES-256-GCM"})";
}

constexpr OpenLimits kLimits{1 << 20, 64};

// ---- AES-256-GCM ----------------------------------------------------------------------------------------------------

struct Gcm {
  Bytes key, nonce, plaintext, ciphertext, tag;
};

void ExpectSeals(const Gcm& it) {
  auto encryptor = AesGcmEncryptor::Start(Fixed<32>(it.key), Fixed<12>(it.nonce));
  ASSERT_TRUE(encryptor);
  Bytes data = it.plaintext;
  ASSERT_TRUE(encryptor->Encrypt(data));
  EXPECT_EQ(data, it.ciphertext);
  std::array<std::uint8_t, kGcmTagBytes> tag{};
  ASSERT_TRUE(encryptor->Finish(tag));
  EXPECT_EQ(tag, Fixed<16>(it.tag));
}

void ExpectOpens(const Gcm& it) {
  Bytes data = it.ciphertext;
  ASSERT_TRUE(AesGcmDecrypt(Fixed<32>(it.key), Fixed<12>(it.nonce), Fixed<16>(it.tag), data));
  EXPECT_EQ(data, it.plaintext);
}

void ExpectRefused(const Gcm& it) {
  Bytes data = it.ciphertext;
  const Status status = AesGcmDecrypt(Fixed<32>(it.key), Fixed<12>(it.nonce), Fixed<16>(it.tag), data);
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, Code::kDecrypt);
  EXPECT_EQ(data, Bytes(data.size(), 0)) << "what did not authenticate is left";
}

TEST(Wycheproof, AesGcm) {
  Verdicts verdicts;
  const nlohmann::json file = nlohmann::json::parse(ReadStandard("wycheproof_aes_gcm.json"));
  for (const auto& test : file["tests"]) {
    SCOPED_TRACE(test["tcId"].get<int>());
    const auto field = [&](const char* name) { return FromHex(test[name].get<std::string>()); };
    const Gcm it{field("key"), field("iv"), field("msg"), field("ct"), field("tag")};
    const bool valid = test["result"] == "valid";
    if (it.nonce.size() != kGcmNonceBytes) {
      // The protocol has 96-bit nonces only, and the types of the functions no other; so a package is refused where its
      // nonce is decoded, valid (elsewhere) or not.
      const auto decoded = DecodePackage(BytesOf(Package(Bytes(512), it.nonce, it.ciphertext, it.tag)), kLimits);
      ASSERT_FALSE(decoded);
      EXPECT_EQ(decoded.error().code, Code::kPackageFormat);
      ++verdicts[valid ? "valid, but another nonce" : "invalid, another nonce"];
    } else if (field("aad").empty()) {
      valid ? ExpectOpens(it) : ExpectRefused(it);
      if (valid) ExpectSeals(it);
      ++verdicts[valid ? "valid" : "invalid"];
    } else {
      // The protocol authenticates no associated data: what was made with some must not open without.
      ExpectRefused(it);
      ++verdicts[valid ? "valid, but with associated data" : "invalid, with associated data"];
    }
  }
  EXPECT_EQ(verdicts, (Verdicts{{"valid", 21},
                                {"invalid", 27},
                                {"valid, but with associated data", 18},
                                {"valid, but another nonce", 37},
                                {"invalid, another nonce", 2}}));
}

// NIST's .rsp: blocks of "Name = hex" lines, and "FAIL" for a tag that is wrong.
template <class Each>
void EachNist(const std::string& name, Each each) {
  const std::string text = ReadStandard(name);
  std::map<std::string, std::string> fields;
  const auto flush = [&] {
    if (fields.contains("Key")) each(fields);
    fields.clear();
  };
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    std::string_view line(text.data() + at, end - at);
    at = end + 1;
    while (line.ends_with(' ')) line.remove_suffix(1);
    const std::size_t equals = line.find(" =");
    if (line.starts_with("Count")) flush();
    if (line == "FAIL") fields["FAIL"];
    if (line.starts_with('[') || line.starts_with('#') || equals == std::string_view::npos) continue;
    fields[std::string(line.substr(0, equals))] = line.size() > equals + 3 ? line.substr(equals + 3) : "";
  }
  flush();
}

Gcm FromNist(const std::map<std::string, std::string>& fields) {
  const auto field = [&](const char* name) {
    const auto found = fields.find(name);
    return found == fields.end() ? Bytes() : FromHex(found->second);
  };
  EXPECT_TRUE(field("AAD").empty());
  return {field("Key"), field("IV"), field("PT"), field("CT"), field("Tag")};
}

TEST(NistCavp, GcmEncrypt) {
  int seen = 0;
  EachNist("nist_gcmEncryptExtIV256.rsp", [&](const auto& fields) {
    SCOPED_TRACE(fields.at("Key"));
    ExpectSeals(FromNist(fields));
    ExpectOpens(FromNist(fields));
    ++seen;
  });
  EXPECT_EQ(seen, 75);
}

TEST(NistCavp, GcmDecrypt) {
  int valid = 0, failing = 0;
  EachNist("nist_gcmDecrypt256.rsp", [&](const auto& fields) {
    SCOPED_TRACE(fields.at("Key"));
    const bool fails = fields.contains("FAIL");
    ++(fails ? failing : valid);
    fails ? ExpectRefused(FromNist(fields)) : ExpectOpens(FromNist(fields));
  });
  EXPECT_EQ(failing, 33);
  EXPECT_EQ(valid, 42);
}

// ---- RSA-OAEP -------------------------------------------------------------------------------------------------------

Result<RsaPrivateKey> ImportPkcs8(const std::string& hex) {
  auto pem = WritePem("PRIVATE KEY", FromHex(hex));
  EXPECT_TRUE(pem);
  return RsaPrivateKey::Import(pem->bytes(), std::nullopt);
}

// Whether a package opens whose AES key is wrapped as `wrapped` and is `aes_key`.
Status OpensPackage(const RsaPrivateKey& key, const Bytes& wrapped, const Bytes& aes_key) {
  constexpr std::array<std::uint8_t, kGcmNonceBytes> nonce{1, 2, 3};
  auto encryptor = AesGcmEncryptor::Start(Fixed<32>(aes_key), nonce);
  EXPECT_TRUE(encryptor);
  Bytes data{'{', '}'};
  std::array<std::uint8_t, kGcmTagBytes> tag{};
  EXPECT_TRUE(encryptor->Encrypt(data));
  EXPECT_TRUE(encryptor->Finish(tag));
  auto decoded = DecodePackage(BytesOf(Package(wrapped, nonce, data, tag)), kLimits);
  EXPECT_TRUE(decoded);
  if (!decoded) return decoded.error();
  auto opened = OpenPackage(key, std::move(*decoded), kLimits);
  if (!opened) return opened.error();
  return Status::Ok();
}

Verdicts JudgeOaep(const std::string& name) {
  Verdicts verdicts;
  const nlohmann::json file = nlohmann::json::parse(ReadStandard(name));
  std::vector<Result<RsaPrivateKey>> keys;
  for (const auto& key : file["keys"]) keys.push_back(ImportPkcs8(key.get<std::string>()));
  std::string refusal;
  for (const auto& test : file["tests"]) {
    SCOPED_TRACE(test["tcId"].get<int>());
    auto& key = keys[test["key"].get<std::size_t>()];
    const std::string theirs = test["result"].get<std::string>();
    if (!key) {
      // No key under 2048 bits is read, so nothing is decrypted with it (NIST SP 800-131A).
      EXPECT_EQ(key.error().code, Code::kKeyWeak);
      ++verdicts[theirs + ", but a weak key"];
      continue;
    }
    const Bytes ciphertext = FromHex(test["ct"].get<std::string>());
    const Bytes message = FromHex(test["msg"].get<std::string>());
    // The protocol fixes SHA-256, MGF1 with SHA-256 and no label: what was wrapped otherwise must not be unwrapped.
    const bool other_hash = test["sha"] != "SHA-256" || test["mgfSha"] != "SHA-256";
    const bool labelled = !test["label"].get<std::string>().empty();
    const bool opens = theirs == "valid" && !other_hash && !labelled;
    auto unwrapped = OaepDecrypt(*key, ciphertext);
    EXPECT_EQ(static_cast<bool>(unwrapped), opens);
    if (unwrapped) {
      EXPECT_EQ(Copy(*unwrapped), message);
    } else {
      EXPECT_EQ(unwrapped.error().code, Code::kDecrypt);
    }
    // A whole package: only a message of 32 bytes is a key; all else has one and the same refusal.
    const bool is_key = opens && message.size() == kAesKeyBytes;
    const Status status = OpensPackage(*key, ciphertext, is_key ? message : Bytes(kAesKeyBytes));
    EXPECT_EQ(static_cast<bool>(status), is_key);
    if (!status) {
      EXPECT_EQ(status.error().code, Code::kDecrypt);
      if (refusal.empty()) refusal = status.error().message;
      EXPECT_EQ(status.error().message, refusal);
    }
    ++verdicts[theirs + (other_hash ? ", but another hash" : labelled ? ", but with a label" : "")];
  }
  return verdicts;
}

TEST(Wycheproof, RsaOaep4096Sha256) {
  EXPECT_EQ(JudgeOaep("wycheproof_rsa_oaep_4096.json"),
            (Verdicts{{"valid", 10}, {"invalid", 19}, {"valid, but with a label", 8}}));
}

TEST(Wycheproof, RsaOaepMisc) {
  // "acceptable" is a small ciphertext with a label.
  EXPECT_EQ(JudgeOaep("wycheproof_rsa_oaep_misc.json"), (Verdicts{{"valid", 12},
                                                                  {"valid, but a weak key", 44},
                                                                  {"valid, but another hash", 115},
                                                                  {"valid, but with a label", 14},
                                                                  {"acceptable, but another hash", 1},
                                                                  {"acceptable, but with a label", 2}}));
}

}  // namespace
}  // namespace nomyo
