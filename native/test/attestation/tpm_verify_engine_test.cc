// The second engine, a software TPM, on changed blocks. (verifier_test.cc asks it about every case by
// name.)
#include "core/attestation/tpm_verify_engine.h"

#include <gtest/gtest.h>

#include <memory>

#include "core/tpm/connection.h"
#include "test/attestation/forge.h"
#include "test/attestation/judge.h"
#include "test/tpm/software_tpm.h"

namespace nomyo {
namespace {

using test::Bytes;
using test::CodeOf;
using test::Forgery;
using test::Key;

// CountingEngine asks the TPM and counts its verdicts, so that a test can see that it was asked at all.
class CountingEngine final : public SignatureEngine {
 public:
  explicit CountingEngine(TpmConnection& connection) : engine_(connection) {}

  Result<EngineVerdict> Verify(const SignedQuote& quote) override {
    Result<EngineVerdict> verdict = engine_.Verify(quote);
    if (verdict) ++counts_[static_cast<std::size_t>(*verdict)];
    return verdict;
  }

  std::size_t count(EngineVerdict verdict) const { return counts_[static_cast<std::size_t>(verdict)]; }

 private:
  TpmVerifyEngine engine_;
  std::size_t counts_[3] = {};
};

class TpmEngine : public testing::Test {
 protected:
  void SetUp() override {
    auto opened = TpmConnection::Open(tpm_.tcti());
    ASSERT_TRUE(opened) << opened.error().message;
    connection_ = std::move(opened).value();
    engine_ = std::make_unique<CountingEngine>(*connection_);
  }

  std::string CodeOnTpm(const Forgery& forgery, const char* policy = test::kPlainPolicy) {
    return CodeOf(test::Verify(forgery.Json(), policy, test::ExpectedNonce(), engine_.get()));
  }

  test::SoftwareTpm tpm_;
  std::unique_ptr<TpmConnection> connection_;
  std::unique_ptr<CountingEngine> engine_;
};

TEST_F(TpmEngine, SaysValidInvalidAndUnsupported) {
  EXPECT_EQ(CodeOnTpm(Forgery()), "ok");
  EXPECT_EQ(engine_->count(EngineVerdict::kValid), 1u);
  Forgery forged;
  forged.signing_key = test::KeyOf(Key::kRsa2048Other);
  EXPECT_EQ(CodeOnTpm(forged), "SIGNATURE_INVALID");
  EXPECT_EQ(engine_->count(EngineVerdict::kInvalid), 1u);
  // swtpm 0.7 has no RSA-4096. Unsupported is no failure, unless the policy wants the engine.
  EXPECT_EQ(CodeOnTpm(Forgery(Key::kRsa4096)), "ok");
  EXPECT_EQ(engine_->count(EngineVerdict::kUnsupported), 1u);
  EXPECT_EQ(CodeOnTpm(Forgery(Key::kRsa4096), R"({"version":1,"engine":"esapi"})"), "SIGNATURE_INVALID");
}

TEST_F(TpmEngine, LeavesNoKeyInTheTpm) {
  // Three would fill it.
  for (int i = 0; i < 10; ++i) EXPECT_EQ(CodeOnTpm(Forgery()), "ok");
}

TEST_F(TpmEngine, IsNoReasonForALockoutWhenThePowerIsCut) {
  // The server's key has its own attributes, noDA or not: checking a signature uses no authorization of it.
  for (const std::uint32_t no_da : {0U, test::kNoDa}) {
    Forgery forgery;
    forgery.attributes |= no_da;
    EXPECT_EQ(CodeOnTpm(forgery), "ok");
    EXPECT_EQ(engine_->count(EngineVerdict::kValid), 1u);
    connection_.reset();
    tpm_.CutPower();
    tpm_.Start();
    EXPECT_EQ(tpm_.Lockout(), std::pair(0, false));
    SetUp();
  }
}

TEST_F(TpmEngine, AgreesOnBlocksWithAFlippedBit) {
  // A TPM takes milliseconds, so of the many bits of RSA's structures one in `stride`, which divides no field's length.
  const struct {
    Key key;
    std::size_t stride;
  } kCases[] = {{Key::kP256, 3}, {Key::kRsa2048, 31}};
  for (const auto& tested : kCases) {
    const auto edits = {&Forgery::edit_public, &Forgery::edit_signed_quote, &Forgery::edit_signature};
    for (const auto edit : edits) {
      std::size_t size = 1;
      for (std::size_t bit = 0; bit < 8 * size; bit += tested.stride) {
        Forgery forgery(tested.key);
        forgery.*edit = [&size, bit](Bytes& bytes) {
          size = bytes.size();
          bytes[bit / 8] = static_cast<std::uint8_t>(bytes[bit / 8] ^ 1 << bit % 8);
        };
        EXPECT_EQ(CodeOnTpm(forgery), CodeOf(forgery)) << "bit " << bit;
      }
      EXPECT_GT(size, 70u);
    }
  }
  EXPECT_GT(engine_->count(EngineVerdict::kInvalid), 300u);
}

}  // namespace
}  // namespace nomyo
