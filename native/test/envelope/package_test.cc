// Packages: those of test/vectors (made by Python's `cryptography`), and our own with every byte broken.
#include <array>
#include <atomic>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "core/cancellation.h"
#include "core/crypto/hmac_sha256.h"
#include "core/envelope/opener.h"
#include "core/envelope/sealer.h"
#include "core/json/base64.h"
#include "core/json/pointer.h"
#include "test/allocation_count.h"
#include "test/bytes.h"

namespace nomyo {
namespace {

constexpr OpenLimits kLimits{64 << 20, 1024};

std::string ReadFile(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

const RsaPrivateKey& ClientKey() {
  static const RsaPrivateKey key = [] {
    const std::string pem = ReadFile(std::string(NOMYO_VECTORS_DIR) + "/keys/client_private.pem");
    return std::move(RsaPrivateKey::Import(BytesOf(pem), std::nullopt)).value();
  }();
  return key;
}

struct Outcome {
  std::string code = "ok";
  std::string text;
};

Outcome Open(std::span<const std::uint8_t> package, const OpenLimits& limits = kLimits) {
  auto decoded = DecodePackage(package, limits);
  if (!decoded) return {std::string(CodeName(decoded.error().code)), decoded.error().message};
  auto opened = OpenPackage(ClientKey(), std::move(*decoded), limits);
  if (!opened) return {std::string(CodeName(opened.error().code)), opened.error().message};
  return {"ok", {reinterpret_cast<const char*>(opened->plaintext.data()), opened->plaintext.size()}};
}

std::string Decoded(std::string_view json, std::string_view pointer) {
  auto found = FindPointer(BytesOf(json), pointer);
  const std::string_view text(reinterpret_cast<const char*>(found->data()) + 1, found->size() - 2);
  std::string bytes(*Base64DecodedSize(text), '\0');
  EXPECT_TRUE(Base64Decode(text, {reinterpret_cast<std::uint8_t*>(bytes.data()), bytes.size()}));
  return bytes;
}

// Seals JSON text as it is.
Result<PackageBytes> SealText(std::string_view json,
                              SealOptions options = {10 << 20, 100, Padding::kNone, std::nullopt}) {
  static auto public_key = ClientKey().PublicKey();
  static auto wrapper = KeyWrapper::For(*public_key);
  auto sealer = Sealer::Start(*wrapper, options);
  if (!sealer) return sealer.error();
  const Status status = (*sealer)->writer().RawLatin1(BytesOf(json));
  if (!status) return status.error();
  return (*sealer)->Finish();
}

std::string Sealed(std::string_view json) {
  auto package = SealText(json);
  return {reinterpret_cast<const char*>(package->data()), package->size()};
}

TEST(Package, VectorsOpenOrAreRefusedForTheirReason) {
  const std::pair<std::string_view, std::string_view> kCodes[] = {{"\"ok\"", "ok"},
                                                                  {"\"format\"", "PACKAGE_FORMAT"},
                                                                  {"\"algorithm\"", "PACKAGE_ALGORITHM"},
                                                                  {"\"decrypt\"", "DECRYPT"},
                                                                  {"\"plaintext\"", "PLAINTEXT"}};
  std::size_t count = 0;
  for (const auto& entry : std::filesystem::directory_iterator(std::string(NOMYO_VECTORS_DIR) + "/packages")) {
    SCOPED_TRACE(entry.path().filename());
    const std::string vector = ReadFile(entry.path());
    const Outcome outcome = Open(BytesOf(Decoded(vector, "/body_b64")));
    auto expected = FindPointer(BytesOf(vector), "/expected");
    const std::string_view word(reinterpret_cast<const char*>(expected->data()), expected->size());
    for (const auto& [name, code] : kCodes) {
      if (name == word) {
        EXPECT_EQ(outcome.code, code);
      }
    }
    if (outcome.code == "ok") {
      EXPECT_EQ(outcome.text, Decoded(vector, "/plaintext_b64"));
    }
    ++count;
  }
  EXPECT_EQ(count, 16u);
}

TEST(Package, OpensWhatWasSealedAtEveryLengthAroundABlock) {
  for (const std::size_t length :
       {0u, 1u, 2u, 47u, 48u, 49u, 49'100u, 49'151u, 49'152u, 49'153u, 98'304u, 1'000'000u}) {
    const std::string json = std::string("{\"a\":\"").append(length, 'x').append("\"}");
    const Outcome outcome = Open(BytesOf(Sealed(json)));
    EXPECT_EQ(outcome.code, "ok");
    EXPECT_EQ(outcome.text, json);
  }
}

TEST(Package, DigestsThePlaintextWithoutItsPaddingWhateverItsLength) {
  const std::string key(32, 'k');
  static auto public_key = ClientKey().PublicKey();
  static auto wrapper = KeyWrapper::For(*public_key);
  for (const Padding padding : {Padding::kNone, Padding::kBucket}) {
    for (const std::size_t length : {0u, 47u, 48u, 49'100u, 49'151u, 49'152u, 98'304u, 1'000'000u}) {
      const std::string json = std::string("{\"a\":\"").append(length, 'x').append("\"}");
      auto sealer = Sealer::Start(*wrapper, {10 << 20, 100, padding, std::nullopt, BytesOf(key)});
      ASSERT_TRUE(sealer);
      ASSERT_TRUE((*sealer)->writer().RawLatin1(BytesOf(json)));
      ASSERT_TRUE((*sealer)->Finish());
      auto whole = HmacSha256::Start(BytesOf(key));
      ASSERT_TRUE(whole);
      ASSERT_TRUE(whole->Update(BytesOf(json)));
      const auto expected = whole->Finish();
      ASSERT_TRUE(expected);
      EXPECT_EQ((*sealer)->digest(), expected.value());
    }
  }
}

TEST(Package, EachByteFlippedDroppedOrAddedNeverOpens) {
  const std::string good = Sealed(R"({"secret":"do not tell"})");
  ASSERT_EQ(Open(BytesOf(good)).code, "ok");
  const auto refused = [](const std::string& package, std::size_t at) {
    const Outcome outcome = Open(BytesOf(package));
    EXPECT_TRUE(outcome.code == "PACKAGE_FORMAT" || outcome.code == "PACKAGE_ALGORITHM" || outcome.code == "DECRYPT")
        << at << ' ' << outcome.code;
    EXPECT_EQ(outcome.text.find("do not tell"), std::string::npos);
  };
  // The labels at the end may be missing, so a byte changed in their names makes them unknown fields, which are
  // ignored; what counts is that the package then still is the package that was sealed.
  const std::size_t labels = good.find("\"key_algorithm\"");
  ASSERT_NE(labels, std::string::npos);
  for (std::size_t at = 0; at < good.size(); ++at) {
    // The RSA operation takes its time: the long base64 of the wrapped key is sampled.
    const bool in_key = at > good.find("encrypted_aes_key") + 20 && at < labels - 4;
    if (in_key && at % 16 != 0) continue;
    std::string flipped = good;
    flipped[at] = static_cast<char>(flipped[at] ^ (1 << at % 8));
    std::string dropped = good;
    dropped.erase(at, 1);
    std::string added = good;
    added.insert(at, 1, 'A');
    for (const std::string& package : {flipped, dropped, added}) {
      const Outcome outcome = Open(BytesOf(package));
      if (at >= labels && outcome.code == "ok") {
        EXPECT_EQ(outcome.text, R"({"secret":"do not tell"})");
      } else if (!(package == added && outcome.code == "ok")) {
        refused(package, at);
      } else {
        ADD_FAILURE() << "opened with a byte added at " << at;
      }
    }
  }
}

TEST(Package, IsReadStrictly) {
  const std::string good = Sealed("{}");
  const auto changed = [&](std::string_view from, std::string_view to) {
    std::string package = good;
    const std::size_t at = package.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    package.replace(at, from.size(), to);
    return Open(BytesOf(package)).code;
  };
  EXPECT_EQ(changed("\"version\":\"1.0\",", ""), "PACKAGE_FORMAT");
  EXPECT_EQ(changed("\"version\":\"1.0\"", "\"version\":\"1.1\""), "PACKAGE_ALGORITHM");
  EXPECT_EQ(changed("\"version\":\"1.0\"", "\"version\":1.0"), "PACKAGE_FORMAT");
  EXPECT_EQ(changed("\"version\":\"1.0\"", "\"version\":\"1.0\",\"version\":\"1.0\""), "PACKAGE_FORMAT");
  EXPECT_EQ(changed("\"version\":\"1.0\"", "\"version\":\"1.0\",\"\\u0076ersion\":\"1.0\""), "PACKAGE_FORMAT");
  EXPECT_EQ(changed("\"version\":\"1.0\"", "\"processed_at\":1,\"version\":\"1.0\",\"processed_at\":1"),
            "PACKAGE_FORMAT");
  EXPECT_EQ(changed("\"tag\"", "\"nonce\""), "PACKAGE_FORMAT");
  // What is not known is ignored however often it comes; a name is known only where it belongs.
  EXPECT_EQ(changed("\"version\"", "\"x\":1,\"x\":2,\"\":1,\"\\u0078\":3,\"tag\":1,\"tag\":2,\"version\""), "ok");
  EXPECT_EQ(changed("\"nonce\"", "\"version\":1,\"version\":2,\"nonce\""), "ok");
  EXPECT_EQ(changed("hybrid-aes256-rsa4096", "hybrid-aes128-rsa4096"), "PACKAGE_ALGORITHM");
  EXPECT_EQ(changed("RSA-OAEP-SHA256", "RSA-OAEP-SHA1"), "PACKAGE_ALGORITHM");
  EXPECT_EQ(changed("AES-256-GCM", "AES-256-CBC"), "PACKAGE_ALGORITHM");
  EXPECT_EQ(changed(",\"key_algorithm\":\"RSA-OAEP-SHA256\"", ""), "ok");
  EXPECT_EQ(changed("\"version\"", "\"more\":{\"x\":[1,{}]},\"version\""), "ok");
  EXPECT_EQ(changed("{", "\xEF\xBB\xBF{"), "PACKAGE_FORMAT");
  EXPECT_EQ(changed("\"version\":\"1.0\"", "\"x\":\"\xC3\x28\",\"version\":\"1.0\""), "PACKAGE_FORMAT");
  EXPECT_EQ(changed("\"version\":\"1.0\"", "\"processed_at\":\"1\",\"version\":\"1.0\""), "PACKAGE_FORMAT");
  EXPECT_EQ(changed("\"version\":\"1.0\"", "\"processed_at\":1,\"version\":\"1.0\""), "ok");
  for (const char* body : {"", "{}", "[]", "null", "x", "{\"version\":\"1.0\"}"}) {
    EXPECT_EQ(Open(BytesOf(body)).code, "PACKAGE_FORMAT") << body;
  }
}

TEST(Package, AcceptsJsonEscapesInBase64) {
  std::string package = Sealed("{}");
  for (std::size_t at = 0; (at = package.find('/', at)) != std::string::npos; at += 2) package.insert(at, 1, '\\');
  EXPECT_EQ(Open(BytesOf(package)).code, "ok");
}

TEST(Package, RemembersNothingOfFieldsThatItDoesNotKnow) {
  const std::string good = Sealed("{}");
  const auto allocations = [&good](int fields) {
    std::string package = good.substr(0, good.size() - 1);
    for (int i = 0; i < fields; ++i) {
      const std::string number = std::to_string(i);
      package.append(",\"").append(number).append("\":0,\"\\u0061").append(number).append("\":\"\\n\"");
    }
    package += '}';
    const std::size_t before = AllocationCount();
    EXPECT_TRUE(DecodePackage(BytesOf(package), kLimits).ok());
    return AllocationCount() - before;
  };
  const std::size_t few = allocations(2);
  EXPECT_EQ(allocations(100'000), few);
}

TEST(Package, EndsInEachStepWhenItIsCancelled) {
  const std::string package = Sealed("{}");
  Cancellation cancellation;
  auto decoded = DecodePackage(BytesOf(package), kLimits, &cancellation);
  ASSERT_TRUE(decoded.ok());
  cancellation.Cancel();
  auto opened = OpenPackage(ClientKey(), std::move(*decoded), kLimits, &cancellation);
  ASSERT_FALSE(opened.ok());
  EXPECT_EQ(opened.error().code, Code::kCancelled);
  auto again = DecodePackage(BytesOf(package), kLimits, &cancellation);
  ASSERT_FALSE(again.ok());
  EXPECT_EQ(again.error().code, Code::kCancelled);
}

#if !defined(__SANITIZE_THREAD__)
// A race on purpose, so not for ThreadSanitizer; AddressSanitizer says whether anything outside was touched. The addon
// copies packages, so this does not happen; if it ever did, it must come to no more than an error.
TEST(Package, SurvivesAWriterOnAnotherThread) {
  const std::string good = Sealed("{\"a\":\"" + std::string(30'000, 'x') + "\"}");
  std::vector<std::uint8_t> package(good.begin(), good.end());
  std::atomic<bool> done{false};
  std::thread writer([&] {
    std::mt19937 random(1);
    // What the proofs of the fault did: quotes, braces, escapes and padding come and go.
    constexpr std::string_view kBytes = "\"\\{}[],:=A0";
    volatile std::uint8_t* const bytes = package.data();
    while (!done) {
      const std::size_t at = random() % package.size();
      bytes[at] = static_cast<std::uint8_t>(kBytes[random() % kBytes.size()]);
      bytes[at] = static_cast<std::uint8_t>(good[at]);
    }
  });
  for (int round = 0; round < 2000; ++round) {
    auto decoded = DecodePackage(package, kLimits);
    if (!decoded) {
      EXPECT_TRUE(decoded.error().code == Code::kPackageFormat || decoded.error().code == Code::kPackageAlgorithm)
          << CodeName(decoded.error().code);
    }
  }
  done = true;
  writer.join();
}
#endif

TEST(Package, LimitsSizeAndDepth) {
  const std::string package = Sealed("{\"a\":[[[]]]}");
  EXPECT_EQ(Open(BytesOf(package), {12, 4}).code, "ok");
  EXPECT_EQ(Open(BytesOf(package), {11, 4}).code, "TOO_LARGE");
  EXPECT_EQ(Open(BytesOf(package), {12, 3}).code, "PLAINTEXT");
  EXPECT_TRUE(SealText("{\"a\":[[[]]]}", {12, 100, Padding::kNone, std::nullopt}));
  auto refused = SealText("{\"a\":[[[]]]}", {11, 100, Padding::kNone, std::nullopt});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::kTooLarge);
  auto much = SealText(std::string(1 << 20, ' '), {1 << 19, 100, Padding::kNone, std::nullopt});
  ASSERT_FALSE(much);
  EXPECT_EQ(much.error().code, Code::kTooLarge);
}

TEST(Package, PadsToBuckets) {
  EXPECT_EQ(PaddedSize(0, 10 << 20), 4096u);
  EXPECT_EQ(PaddedSize(4096, 10 << 20), 4096u);
  EXPECT_EQ(PaddedSize(4097, 10 << 20), 8192u);
  EXPECT_EQ(PaddedSize(8 << 20, 10 << 20), std::size_t{8} << 20);
  EXPECT_EQ(PaddedSize((8 << 20) + 1, 10 << 20), std::size_t{10} << 20);
  EXPECT_EQ(PaddedSize(10 << 20, 10 << 20), std::size_t{10} << 20);
  EXPECT_EQ(PaddedSize(100, 1000), 1000u);
  auto one = SealText("{\"a\":1}", {10 << 20, 7, Padding::kBucket, std::nullopt});
  auto other =
      SealText(std::string("{\"a\":\"").append(3000, 'x').append("\"}"), {10 << 20, 9, Padding::kBucket, std::nullopt});
  EXPECT_EQ(one->size(), other->size());
  EXPECT_EQ(Open({one->data(), one->size()}).text, std::string("{\"a\":1}").append(4089, ' '));
}

TEST(Package, NeverUsesAKeyOrNonceTwice) {
  const std::string first = Sealed("{}");
  const std::string second = Sealed("{}");
  for (const char* field : {"/encrypted_aes_key", "/encrypted_payload/nonce", "/encrypted_payload/ciphertext"}) {
    EXPECT_NE(Decoded(first, field), Decoded(second, field)) << field;
  }
}

}  // namespace
}  // namespace nomyo
