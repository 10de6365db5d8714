// KnownAik: what is kept of a key, and that it vouches for nothing.
#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>

#include "core/attestation/known_aik.h"
#include "core/attestation/verifier.h"
#include "test/attestation/forge.h"
#include "test/attestation/judge.h"

namespace nomyo {
namespace {

using test::Forgery;

std::optional<Report> IfQuick(const Forgery& forgery) {
  auto policy = ReadPolicy(test::kPlainPolicy);
  auto report = VerifyIfQuick(forgery.Json(), test::ExpectedNonce(), policy.value());
  EXPECT_TRUE(report);
  return std::move(report.value());
}

TEST(KnownAik, IsQuickOnceItsSignatureWasRightAndJudgesAlike) {
  Forgery forgery(test::Key::kP256);
  forgery.auth_policy = {0x51, 0x11};  // a key like no other test's
  EXPECT_FALSE(IfQuick(forgery)) << "nobody has seen it";
  EXPECT_EQ(test::CodeOf(forgery), "ok");
  const auto report = IfQuick(forgery);
  ASSERT_TRUE(report);
  EXPECT_EQ(test::CodeOf(*report), "ok");

  Forgery other_nonce = forgery;
  other_nonce.nonce = {1, 2, 3};
  ASSERT_TRUE(IfQuick(other_nonce));
  EXPECT_EQ(test::CodeOf(*IfQuick(other_nonce)), "NONCE_MISMATCH");
}

TEST(KnownAik, KeepsNoKeyWhoseSignatureIsWrong) {
  Forgery forgery(test::Key::kP256);
  forgery.auth_policy = {0x51, 0x12};
  forgery.signing_key = test::KeyOf(test::Key::kP256Other);
  EXPECT_EQ(test::CodeOf(forgery), "SIGNATURE_INVALID");
  EXPECT_FALSE(IfQuick(forgery));
}

}  // namespace
}  // namespace nomyo
