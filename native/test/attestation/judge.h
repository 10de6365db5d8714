// What the verifier says of a block, as a test wants to hear it: the decisive code, or "ok".
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "core/attestation/verifier.h"
#include "test/attestation/forge.h"

namespace nomyo::test {

inline constexpr const char* kPlainPolicy = R"({"version":1})";

inline Report Verify(const std::string& json, const std::string& policy_json = kPlainPolicy,
                     const Bytes& expected = ExpectedNonce(), SignatureEngine* engine = nullptr) {
  const Result<Policy> policy = ReadPolicy(policy_json);
  EXPECT_TRUE(policy) << policy.error().message;
  Result<Report> report = VerifyAttestation(json, expected, policy.value(), engine);
  EXPECT_TRUE(report) << report.error().message;
  return std::move(report).value();
}

inline std::string CodeOf(const Report& report) {
  const std::optional<Check> decisive = report.checks.Decisive();
  EXPECT_EQ(decisive.has_value(), !report.checks.Verified());
  return decisive ? std::string(CheckName(*decisive)) : "ok";
}

inline std::string CodeOf(const Forgery& forgery, const std::string& policy = kPlainPolicy) {
  return CodeOf(Verify(forgery.Json(), policy));
}

}  // namespace nomyo::test
