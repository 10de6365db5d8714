// Quotes by a real (software) TPM. tpm2_checkquote, an implementation of its own, judges those that it can.
#include "core/tpm/quote.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <future>
#include <iterator>
#include <new>
#include <set>
#include <stdexcept>
#include <thread>
#include <utility>

#include <gtest/gtest.h>
#include <openssl/evp.h>

#include "core/tpm/device.h"
#include "core/tpm/tss_mu.h"
#include "test/tpm/software_tpm.h"

namespace nomyo {
namespace {

constexpr std::uint8_t kNonce[16] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};

class TpmQuote : public testing::Test {
 protected:
  void SetUp() override {
    auto opened = TpmConnection::Open(tpm_.tcti());
    ASSERT_TRUE(opened) << opened.error().message;
    connection_ = std::move(opened).value();
  }

  Result<Quote> Make(const QuoteRequest& request) { return MakeQuote(*connection_, kNonce, request); }

  test::SoftwareTpm tpm_;
  std::unique_ptr<TpmConnection> connection_;
};

void WriteFile(const std::string& path, std::span<const std::uint8_t> bytes) {
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
}

TPMS_ATTEST Parse(const Quote& quote) {
  TPMS_ATTEST attest{};
  std::size_t offset = 0;
  EXPECT_EQ(TssMu::Load().value()->attest_unmarshal(quote.attest.data(), quote.attest.size(), &offset, &attest),
            TSS2_RC_SUCCESS);
  EXPECT_EQ(offset, quote.attest.size());
  return attest;
}

TEST_F(TpmQuote, PassesTpm2Checkquote) {
  for (const AikAlgorithm aik : {AikAlgorithm::kEccP256, AikAlgorithm::kRsa2048Rsassa}) {
    const auto quote = Make({.aik = aik});
    ASSERT_TRUE(quote) << quote.error().message;
    EXPECT_EQ(quote.value().pcr_banks, "sha256:0,7,10");
    const std::string at = tpm_.folder();
    WriteFile(at + "/aik.pub", quote.value().aik_public);
    WriteFile(at + "/quote.msg", quote.value().attest);
    WriteFile(at + "/quote.sig", quote.value().signature);
    std::vector<std::uint8_t> values;
    for (const QuotedPcr& pcr : quote.value().pcrs) values.insert(values.end(), pcr.value.begin(), pcr.value.end());
    ASSERT_EQ(values.size(), 3u * 32);
    WriteFile(at + "/quote.pcrs", values);
    const std::string command = "tpm2_checkquote -Q -u " + at + "/aik.pub -m " + at + "/quote.msg -s " + at +
                                "/quote.sig -f " + at + "/quote.pcrs -l sha256:0,7,10 -g sha256 -q ";
    EXPECT_EQ(std::system((command + "0102030405060708090a0b0c0d0e0f10").c_str()), 0);
    EXPECT_NE(std::system((command + "ff02030405060708090a0b0c0d0e0f10 2>/dev/null").c_str()), 0);
  }
}

TEST_F(TpmQuote, HasTheAskedForSchemeAndAFreshKeyEachTime) {
  const struct {
    AikAlgorithm aik;
    std::uint8_t scheme;  // TPMT_SIGNATURE starts with the scheme, then its hash (TPM 2.0 Part 2, 11.3.4)
  } kCases[] = {
      {AikAlgorithm::kEccP256, 0x18}, {AikAlgorithm::kRsa2048Rsassa, 0x14}, {AikAlgorithm::kRsa2048Rsapss, 0x16}};
  std::set<std::string> keys;
  for (const auto& c : kCases) {
    for (int i = 0; i < 2; ++i) {
      const auto quote = Make({.aik = c.aik});
      ASSERT_TRUE(quote) << quote.error().message;
      const auto& signature = quote.value().signature;
      const auto& aik = quote.value().aik_public;
      ASSERT_GT(signature.size(), 4u);
      EXPECT_EQ(signature[0] << 8 | signature[1], c.scheme);
      EXPECT_EQ(signature[2] << 8 | signature[3], 0x000b);  // SHA-256
      EXPECT_TRUE(keys.emplace(aik.begin(), aik.end()).second) << "the same AIK twice";
    }
  }
}

TEST_F(TpmQuote, LeavesNoKeyInTheTpm) {
  // Three would fill it.
  for (int i = 0; i < 8; ++i) ASSERT_TRUE(Make({}));
  EXPECT_FALSE(Make({.pcrs = "sha512:0+sha1:99"}));
  for (int i = 0; i < 4; ++i) EXPECT_FALSE(MakeQuote(*connection_, std::vector<std::uint8_t>(65), {}));
  EXPECT_TRUE(Make({}));
}

// In a TPM that forgives nothing meanwhile: four tries, then a lockout.
void SetFourTries(const test::SoftwareTpm& tpm) {
  const std::string command =
      "TPM2TOOLS_TCTI=" + tpm.tcti() + " tpm2_dictionarylockout -s -n 4 -t 100000 -l 100000 >/dev/null";
  ASSERT_EQ(std::system(command.c_str()), 0);
}

TEST_F(TpmQuote, IsNoReasonForALockoutWhenThePowerIsCut) {
  connection_.reset();  // swtpm serves one at a time
  SetFourTries(tpm_);
  for (const AikAlgorithm aik : {AikAlgorithm::kEccP256, AikAlgorithm::kRsa2048Rsassa, AikAlgorithm::kRsa2048Rsapss}) {
    SetUp();
    const auto quote = Make({.aik = aik});
    ASSERT_TRUE(quote) << quote.error().message;
    connection_.reset();
    tpm_.CutPower();
    tpm_.Start();
    EXPECT_EQ(tpm_.Lockout(), std::pair(0, false));
  }
}

TEST_F(TpmQuote, IsMadeByATpmThatOthersHaveLockedOut) {
  connection_.reset();
  SetFourTries(tpm_);
  const std::string tools = "TPM2TOOLS_TCTI=" + tpm_.tcti() + " ";
  const std::string at = tpm_.folder();
  const std::string guess = tools + "tpm2_createprimary -Q -C o -p right -c " + at +
                            "/key.ctx && for i in 1 2 3 4; do " + tools + "tpm2_create -Q -C " + at +
                            "/key.ctx -P wrong 2>/dev/null; " + tools + "tpm2_flushcontext -t; done";
  ASSERT_EQ(std::system(guess.c_str()), 0);
  ASSERT_TRUE(tpm_.Lockout().second);
  SetUp();
  const auto quote = Make({});
  EXPECT_TRUE(quote) << quote.error().message;
}

TEST_F(TpmQuote, OfATpmThatOthersHaveFilledSaysSoAndWorksAgainWhenThereIsRoom) {
  connection_.reset();
  const std::string tools = "TPM2TOOLS_TCTI=" + tpm_.tcti() + " ";
  const std::string fill = tools + "tpm2_createprimary -Q -C o -c " + tpm_.folder() + "/full.ctx";
  for (int i = 0; i < 3; ++i) ASSERT_EQ(std::system(fill.c_str()), 0);
  SetUp();
  for (int i = 0; i < 2; ++i) {
    const auto quote = Make({});
    ASSERT_FALSE(quote);
    EXPECT_NE(quote.error().message.find("no free slot for a key"), std::string::npos) << quote.error().message;
  }
  connection_.reset();
  ASSERT_EQ(std::system((tools + "tpm2_flushcontext -t").c_str()), 0);
  SetUp();
  const auto quote = Make({});
  EXPECT_TRUE(quote) << quote.error().message;
}

TEST_F(TpmQuote, ReadsAllPcrsOfSeveralBanksInOrder) {
  const auto quote = Make({.pcrs = "sha384:23,0+sha256:0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23"});
  ASSERT_TRUE(quote) << quote.error().message;
  const auto& pcrs = quote.value().pcrs;
  ASSERT_EQ(pcrs.size(), 26u);
  EXPECT_EQ(pcrs[0].bank, "sha384");
  EXPECT_EQ(pcrs[0].index, 0);
  EXPECT_EQ(pcrs[0].value.size(), 48u);
  EXPECT_EQ(pcrs[1].index, 23);
  for (int i = 0; i < 24; ++i) {
    EXPECT_EQ(pcrs[static_cast<std::size_t>(i) + 2].index, i);
    // PCRs 17 to 22 start as all ones, the others as all zero (PC Client PTP, 4.6.2).
    const std::uint8_t start = i >= 17 && i <= 22 ? 0xff : 0x00;
    EXPECT_EQ(pcrs[static_cast<std::size_t>(i) + 2].value, std::vector<std::uint8_t>(32, start)) << i;
  }
  const TPMS_ATTEST attest = Parse(quote.value());
  EXPECT_EQ(attest.attested.quote.pcrSelect.count, 2u);
  EXPECT_EQ(attest.attested.quote.pcrSelect.pcrSelections[0].hash, TPM2_ALG_SHA384);
}

TEST_F(TpmQuote, CarriesTheQualifyingData) {
  const auto quote = Make({});
  ASSERT_TRUE(quote);
  const TPMS_ATTEST attest = Parse(quote.value());
  EXPECT_EQ(attest.magic, 0xff544347u);
  ASSERT_EQ(attest.extraData.size, 16);
  EXPECT_TRUE(std::equal(std::begin(kNonce), std::end(kNonce), attest.extraData.buffer));
}

TEST_F(TpmQuote, QuotesWithAPersistentKeyWhenItIsOne) {
  const auto missing = Make({.persistent_handle = 0x81010002});
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, Code::kTpm);
  EXPECT_EQ(Make({.persistent_handle = 0x80000000}).error().code, Code::kInvalidArgument);

  connection_.reset();  // swtpm serves one at a time
  const std::string tools = "TPM2TOOLS_TCTI=" + tpm_.tcti() + " ";
  const std::string at = tpm_.folder();
  const std::string make_ak = tools + "tpm2_createek -Q -c " + at + "/ek.ctx -G rsa -u " + at + "/ek.pub && " + tools +
                              "tpm2_flushcontext -t && " + tools + "tpm2_createak -Q -C " + at + "/ek.ctx -c " + at +
                              "/ak.ctx -G ecc -g sha256 -s ecdsa && " + tools + "tpm2_flushcontext -t && " + tools +
                              "tpm2_evictcontrol -Q -C o -c " + at + "/ak.ctx 0x81010002 && " + tools +
                              "tpm2_createprimary -Q -C o -c " + at + "/storage.ctx && " + tools +
                              "tpm2_evictcontrol -Q -C o -c " + at + "/storage.ctx 0x81010003 && " + tools +
                              "tpm2_flushcontext -t";
  ASSERT_EQ(std::system(make_ak.c_str()), 0);
  SetUp();
  const auto first = Make({.persistent_handle = 0x81010002});
  ASSERT_TRUE(first) << first.error().message;
  const auto second = Make({.persistent_handle = 0x81010002});
  ASSERT_TRUE(second);
  EXPECT_EQ(first.value().aik_public, second.value().aik_public);
  const auto storage_key = Make({.persistent_handle = 0x81010003});
  ASSERT_FALSE(storage_key);
  EXPECT_EQ(storage_key.error().code, Code::kTpm);
}

TEST(TpmPcrSelection, IsReadStrictly) {
  TPML_PCR_SELECTION selection;
  for (const char* bad :
       {"",          "sha256",    "sha256:",    "sha256:24",  "sha256:-1",         "sha256:07", "sha256:0,,7",
        "sha256:0,", "sha256: 0", "sha256:0 ",  "sha256:0,0", "sha256:0+sha256:1", "sha256:0+", "+sha256:0",
        "sha3:0",    "SHA256:0",  "sha256:1e1", "sha256:0x1", "sha256:4294967296", "sha256:+1"}) {
    const Status status = ParsePcrSelection(bad, selection);
    ASSERT_FALSE(status) << bad;
    EXPECT_EQ(status.error().code, Code::kInvalidArgument);
  }
  ASSERT_TRUE(ParsePcrSelection("sha384:23,0+sha256:10,7,0", selection));
  EXPECT_EQ(FormatPcrSelection(selection), "sha384:0,23+sha256:0,7,10");
}

TEST(TpmConnectionOpen, SaysThatNothingIsThere) {
  const auto opened = TpmConnection::Open("swtpm:path=/nonexistent/socket");
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, Code::kTpm);
  EXPECT_FALSE(TpmConnection::Open("nosuchtransport:x"));
  EXPECT_FALSE(TpmConnection::Open("device:/dev/null"));
}

Status QuoteOn(TpmDevice& device) {
  std::promise<Status> outcome;
  const Status queued = device.Submit(
      [](TpmConnection& connection) -> Status {
        const auto quote = MakeQuote(connection, kNonce, {});
        return quote ? Status::Ok() : quote.error();
      },
      [&outcome](Status status) { outcome.set_value(std::move(status)); });
  return queued ? outcome.get_future().get() : queued;
}

TEST(TpmDevice, GoesOnAfterTheTpmVanishedAndCameBack) {
  test::SoftwareTpm tpm;
  auto started = TpmDevice::Start(tpm.tcti(), {});
  ASSERT_TRUE(started);
  TpmDevice& device = *started.value();
  EXPECT_TRUE(QuoteOn(device));
  tpm.Stop();
  const Status gone = QuoteOn(device);
  ASSERT_FALSE(gone);
  EXPECT_EQ(gone.error().code, Code::kTpm);
  tpm.Start();
  const Status back = QuoteOn(device);
  EXPECT_TRUE(back) << back.error().message;
  // Vanished and back between two requests: nobody notices.
  tpm.Stop();
  tpm.Start();
  const Status unnoticed = QuoteOn(device);
  EXPECT_TRUE(unnoticed) << unnoticed.error().message;
}

TEST(TpmDevice, RefusesWorkBeyondItsQueueAndCancelsWhatWaitsWhenClosed) {
  test::SoftwareTpm tpm;
  auto started = TpmDevice::Start(tpm.tcti(), {.queue = 2});
  ASSERT_TRUE(started);
  TpmDevice& device = *started.value();
  std::promise<void> running;
  std::promise<void> release;
  std::promise<Status> first;
  ASSERT_TRUE(device.Submit(
      [&](TpmConnection&) -> Status {
        running.set_value();
        release.get_future().wait();
        return Status::Ok();
      },
      [&](Status status) { first.set_value(std::move(status)); }));
  running.get_future().wait();
  std::promise<Status> waiting[2];
  for (auto& promise : waiting) {
    ASSERT_TRUE(device.Submit([](TpmConnection&) -> Status { return Status::Ok(); },
                              [&promise](Status status) { promise.set_value(std::move(status)); }));
  }
  const auto nothing = [](TpmConnection&) -> Status { return Status::Ok(); };
  EXPECT_EQ(device.Submit(nothing, [](Status) { FAIL(); }).error().code, Code::kQueueFull);
  device.Close();
  for (auto& promise : waiting) EXPECT_EQ(promise.get_future().get().error().code, Code::kCancelled);
  EXPECT_EQ(device.Submit(nothing, [](Status) { FAIL(); }).error().code, Code::kDisposed);
  release.set_value();
  EXPECT_TRUE(first.get_future().get());
}

// On a thread of the device's an exception would find nobody: it would end the process.
TEST(TpmDevice, TurnsWhateverWorkThrowsIntoAnErrorAndGoesOn) {
  test::SoftwareTpm tpm;
  auto started = TpmDevice::Start(tpm.tcti(), {});
  ASSERT_TRUE(started);
  const auto code_of = [&](TpmDevice::Work work) {
    std::promise<Status> outcome;
    EXPECT_TRUE(started.value()->Submit(std::move(work), [&](Status status) { outcome.set_value(std::move(status)); }));
    const Status status = outcome.get_future().get();
    EXPECT_FALSE(status);
    return status.error().code;
  };
  EXPECT_EQ(code_of([](TpmConnection&) -> Status { throw std::bad_alloc(); }), Code::kOutOfMemory);
  EXPECT_EQ(code_of([](TpmConnection&) -> Status { throw std::runtime_error("other"); }), Code::kTpm);
  EXPECT_EQ(code_of([](TpmConnection&) -> Status { throw 1; }), Code::kTpm);
  const Status after = QuoteOn(*started.value());
  EXPECT_TRUE(after) << after.error().message;
}

TEST(TpmDevice, MayBeHeldByNobodyButItsWork) {
  for (int i = 0; i < 300; ++i) {
    std::promise<void> through;
    auto started = TpmDevice::Start("swtpm:path=/nonexistent/socket", {});
    ASSERT_TRUE(started);
    TpmDevice& device = *started.value();
    auto held = std::make_shared<std::shared_ptr<TpmDevice>>(started.value());
    started = Error{Code::kCancelled, ""};
    ASSERT_TRUE(device.Submit([](TpmConnection&) -> Status { return Status::Ok(); },
                              [held = std::move(held), &through](Status) {
                                held->reset();
                                through.set_value();
                              }));
    through.get_future().wait();
  }
}

TEST(TpmDevice, GivesUpOnATpmThatDoesNotAnswerAndTakesItBackWhenItDoes) {
  test::SoftwareTpm tpm;
  auto started = TpmDevice::Start(tpm.tcti(), {.time = std::chrono::milliseconds(300)});
  ASSERT_TRUE(started);
  TpmDevice& device = *started.value();
  // On a busy machine a TPM that is well may take longer than that: what is to be shown is that it answers, not how
  // fast.
  const auto comes_to_answer = [&device] {
    Status status = QuoteOn(device);
    for (int i = 0; i < 1000 && !status; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
      status = QuoteOn(device);
    }
    return status;
  };
  EXPECT_TRUE(comes_to_answer());
  tpm.Freeze();
  // More than it leaves threads behind for: from then on it refuses at once instead of blocking another.
  for (int i = 0; i < 6; ++i) {
    const Status status = QuoteOn(device);
    ASSERT_FALSE(status);
    EXPECT_EQ(status.error().code, Code::kTpm);
    EXPECT_NE(status.error().message.find("does not answer"), std::string::npos) << status.error().message;
  }
  tpm.Thaw();
  const Status back = comes_to_answer();
  EXPECT_TRUE(back) << back.error().message;
}

// PCR 16 can be extended by anyone: what IMA does to PCR 10 while a server makes quotes, done here on purpose.
TEST_F(TpmQuote, AgreesWithItsPcrsAlthoughTheyChangeMeanwhile) {
  connection_.reset();  // so that the child does not inherit it
  const std::string stop = tpm_.folder() + "/stop";
  const std::string loop = "for i in $(seq 2000); do [ -e " + stop + " ] && exit 0; TPM2TOOLS_TCTI=" + tpm_.tcti() +
                           " tpm2_pcrextend 16:sha256=" + std::string(64, 'a') + " || exit 1; done";
  FILE* other = popen(loop.c_str(), "r");
  ASSERT_NE(other, nullptr);
  SetUp();
  std::set<std::string> seen;
  for (int i = 0; i < 5000 && seen.size() < 20 && !HasFailure(); ++i) {
    const auto quote = Make({.pcrs = "sha256:16"});
    if (!quote) {
      ADD_FAILURE() << quote.error().message;
      break;
    }
    const auto& value = quote.value().pcrs[0].value;
    std::uint8_t digest[32];
    EXPECT_EQ(EVP_Digest(value.data(), value.size(), digest, nullptr, EVP_sha256(), nullptr), 1);
    const TPMS_ATTEST attest = Parse(quote.value());
    ASSERT_EQ(attest.attested.quote.pcrDigest.size, 32);
    EXPECT_EQ(std::memcmp(attest.attested.quote.pcrDigest.buffer, digest, 32), 0);
    seen.emplace(value.begin(), value.end());
  }
  std::ofstream(stop).flush();
  EXPECT_EQ(pclose(other), 0);
  EXPECT_EQ(seen.size(), 20u);
}

}  // namespace
}  // namespace nomyo
