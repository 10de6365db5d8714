// The core's reading of a policy. lib/attestation checks the whole schema; what the core uses it checks itself.
#include "core/attestation/policy.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

#include "test/attestation/forge.h"

namespace nomyo {
namespace {

bool Accepts(const std::string& json) {
  const Result<Policy> policy = ReadPolicy(json);
  if (!policy) {
    EXPECT_NE(policy.error().message.find("policy"), std::string::npos) << policy.error().message;
  }
  return policy.ok();
}

TEST(AttestationPolicy, FullExample) {
  const std::string hex(64, 'a');
  const Result<Policy> policy = ReadPolicy(
      R"({"version":1,"mode":"require","preflight":true,"maxAgeMs":300000,
          "signature":{"schemes":["rsapss"],"hashes":["sha256","sha384"],"minRsaBits":3072},
          "banks":["sha256"],"required":{"sha256":[0,7,10]},
          "profiles":[{"name":"fw","note":"n","pcrs":{"sha256":{"0":")" +
      hex + R"(","7":[")" + hex + R"("],"10":"any"}}}],
          "requirePrimary":true,"binding":"optional","engine":"esapi"})");
  ASSERT_TRUE(policy) << policy.error().message;
  const Policy& read = policy.value();
  EXPECT_EQ(read.schemes, std::set<std::uint16_t>{test::kRsapss});
  EXPECT_EQ(read.hashes, (std::set<std::uint16_t>{test::kSha256, test::kSha384}));
  EXPECT_EQ(read.min_rsa_bits, 3072u);
  EXPECT_EQ(read.banks, std::set<std::uint16_t>{test::kSha256});
  EXPECT_EQ(read.required, (PcrSelection{{test::kSha256, 1U << 0 | 1U << 7 | 1U << 10}}));
  EXPECT_TRUE(read.require_primary);
  EXPECT_TRUE(read.require_tpm_engine);
  ASSERT_EQ(read.profiles.size(), 1u);
  EXPECT_TRUE(read.profiles[0].pcrs.at(test::kSha256).at(10).any);
  EXPECT_EQ(read.profiles[0].pcrs.at(test::kSha256).at(0).values, std::vector<Bytes>{Bytes(32, 0xAA)});
}

TEST(AttestationPolicy, DefaultsNameNoSha1) {
  const Result<Policy> policy = ReadPolicy(R"({"version":1})");
  ASSERT_TRUE(policy);
  for (const auto& set : {policy.value().banks, policy.value().hashes}) {
    EXPECT_EQ(set, (std::set<std::uint16_t>{test::kSha256, test::kSha384, test::kSha512}));
  }
  EXPECT_EQ(policy.value().min_rsa_bits, 2048u);
}

TEST(AttestationPolicy, RefusesWhatItDoesNotUnderstand) {
  const std::string hex(64, 'a');
  const auto profile = [](const std::string& pcrs) { return R"({"profiles":[{"name":"a","pcrs":)" + pcrs + "}]}"; };
  ASSERT_TRUE(Accepts(profile(R"({"sha256":{"0":")" + hex + "\"}}")));
  for (const std::string& json :
       {std::string(),
        std::string("{}"),
        std::string("[]"),
        std::string("null"),
        std::string("\xEF\xBB\xBF{\"version\":1}"),
        std::string(R"({"version":1,"version":1})"),
        std::string(R"({"version":1,"require":{"sha256":[0]}})"),
        std::string(R"({"banks":[]})"),
        std::string(R"({"banks":"sha256"})"),
        std::string(R"({"banks":["md5"]})"),
        std::string(R"({"banks":["SHA256"]})"),
        std::string(R"({"required":{}})"),
        std::string(R"({"required":{"sha256":[]}})"),
        std::string(R"({"required":{"sha256":["0"]}})"),
        std::string(R"({"required":{"sha256":[24]}})"),
        std::string(R"({"required":{"sha256":[16]}})"),
        std::string(R"({"required":{"sha256":[23]}})"),
        std::string(R"({"required":{"sha256":[-1]}})"),
        std::string(R"({"required":{"sha256":[0.5]}})"),
        std::string(R"({"signature":{}})"),
        std::string(R"({"signature":{"schemes":[]}})"),
        std::string(R"({"signature":{"schemes":["ecdaa"]}})"),
        std::string(R"({"signature":{"hashes":["sha1"]}})"),
        std::string(R"({"signature":{"minRsaBits":1024}})"),
        std::string(R"({"signature":{"minRsaBits":"2048"}})"),
        std::string(R"({"signature":{"other":1}})"),
        std::string(R"({"requirePrimary":"true"})"),
        std::string(R"({"engine":"tpm"})"),
        std::string(R"({"aikRoots":[]})"),
        std::string(R"({"aikRoots":["PEM"]})"),
        std::string(R"({"aikRoots":[7]})"),
        std::string(R"({"profiles":[]})"),
        std::string(R"({"profiles":[{"name":"a"}]})"),
        std::string(R"({"profiles":[{"pcrs":{"sha256":{"0":"any"}}}]})"),
        profile("{}"),
        profile(R"({"sha256":{}})"),
        profile(R"({"sha256":{"07":"any"}})"),
        profile(R"({"sha256":{"24":"any"}})"),
        profile(R"({"sha256":{"16":"any"}})"),
        profile(R"({"sha256":{"0":"ANY"}})"),
        profile(R"({"sha256":{"0":[]}})"),
        profile(R"({"sha256":{"0":["any"]}})"),
        profile(R"({"sha256":{"0":")" + hex + "aa\"}}"),
        profile(R"({"sha384":{"0":")" + hex + "\"}}"),
        profile(R"({"sha256":{"0":"any","0":"any"}})"),
        std::string(R"({"profiles":[{"name":"a","pcrs":{"sha256":{"0":"any"}},"extra":1}]})")}) {
    EXPECT_FALSE(Accepts(json)) << json;
  }
  std::string large =
      R"({"profiles":[{"name":")" + std::string(128 * 1024, 'x') + R"(","pcrs":{"sha256":{"0":"any"}}}]})";
  EXPECT_EQ(ReadPolicy(large).error().code, Code::kTooLarge);
}

}  // namespace
}  // namespace nomyo
