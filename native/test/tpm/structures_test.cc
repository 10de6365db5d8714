// The rule for the three structures must hold whatever libtss2-mu does: here its functions are replaced by ones that
// behave as other versions do.
#include "core/tpm/structures.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>

#include "test/attestation/forge.h"

namespace nomyo {
namespace {

using test::Forgery;
using test::Packer;

const TssMu& Installed() {
  return *TssMu::Load().value();
}

TssMu Table() {
  TssMu table;
  table.attest_marshal = Installed().attest_marshal;
  table.attest_unmarshal = Installed().attest_unmarshal;
  table.signature_marshal = Installed().signature_marshal;
  table.signature_unmarshal = Installed().signature_unmarshal;
  table.public_marshal = Installed().public_marshal;
  table.public_unmarshal = Installed().public_unmarshal;
  return table;
}

// Version 4 refuses a wrong magic when it unmarshals.
TSS2_RC RefuseWrongMagic(const std::uint8_t* buffer, std::size_t size, std::size_t* offset, TPMS_ATTEST* attest) {
  const std::uint8_t magic[] = {0xFF, 0x54, 0x43, 0x47};
  if (size < 4 || std::memcmp(buffer, magic, 4) != 0) return TSS2_MU_RC_BAD_VALUE;
  return Installed().attest_unmarshal(buffer, size, offset, attest);
}

TEST(AttestationStructures, AWrongMagicIsReadAlikeByEveryVersion) {
  Forgery forgery;
  forgery.magic = 0x12345678;
  const Bytes bytes = forgery.Quote();
  TssMu version4 = Table();
  version4.attest_unmarshal = RefuseWrongMagic;
  for (const TssMu* mu : {&Installed(), static_cast<const TssMu*>(&version4)}) {
    const Result<QuoteStructure> quote = ReadQuote(*mu, bytes);
    ASSERT_TRUE(quote);
    EXPECT_FALSE(quote.value().has_magic());
    EXPECT_TRUE(quote.value().is_quote());
    EXPECT_EQ(quote.value().attest.extraData.size, 16);
  }
}

// Another type is never unmarshalled: 3.2.1 does not know TPM_ST_ATTEST_NV_DIGEST, version 4 does.
TEST(AttestationStructures, AnotherTypeNeverReachesTheLibrary) {
  Forgery forgery;
  forgery.attest_type = 0x801C;
  const Bytes bytes = forgery.Quote();
  TssMu untouched = Table();
  untouched.attest_unmarshal = [](const std::uint8_t*, std::size_t, std::size_t*, TPMS_ATTEST*) -> TSS2_RC {
    ADD_FAILURE() << "unmarshalled";
    return TSS2_RC_SUCCESS;
  };
  const Result<QuoteStructure> quote = ReadQuote(untouched, bytes);
  ASSERT_TRUE(quote);
  EXPECT_FALSE(quote.value().is_quote());
}

// A library that ignores errors, stops early, or says that it consumed all, as 3.2.1 does inside TPM2B structures.
TEST(AttestationStructures, ALibraryThatAcceptsEverythingIsNotBelieved) {
  TssMu lax = Table();
  lax.public_unmarshal = [](const std::uint8_t* buffer, std::size_t size, std::size_t* offset, TPMT_PUBLIC* area) {
    Installed().public_unmarshal(buffer, size, offset, area);
    *offset = size;
    return TSS2_RC{TSS2_RC_SUCCESS};
  };
  lax.signature_unmarshal = [](const std::uint8_t* buffer, std::size_t size, std::size_t* offset, TPMT_SIGNATURE* out) {
    Installed().signature_unmarshal(buffer, size, offset, out);
    *offset = size;
    return TSS2_RC{TSS2_RC_SUCCESS};
  };
  lax.attest_unmarshal = [](const std::uint8_t* buffer, std::size_t size, std::size_t* offset, TPMS_ATTEST* attest) {
    Installed().attest_unmarshal(buffer, size, offset, attest);
    *offset = size;
    return TSS2_RC{TSS2_RC_SUCCESS};
  };
  const Forgery forgery;
  const Bytes quote = forgery.Quote(), signature = forgery.Signature(), area = forgery.Public();
  ASSERT_TRUE(ReadQuote(lax, quote));
  ASSERT_TRUE(ReadSignature(lax, signature));
  ASSERT_TRUE(ReadPublicArea(lax, Packer().Sized(area).bytes()));
  for (const int change : {-1, 1, 4}) {
    const auto resized = [change](Bytes bytes) {
      bytes.resize(static_cast<std::size_t>(static_cast<int>(bytes.size()) + change));
      return bytes;
    };
    EXPECT_FALSE(ReadQuote(lax, resized(quote))) << change;
    EXPECT_FALSE(ReadSignature(lax, resized(signature))) << change;
    EXPECT_FALSE(ReadPublicArea(lax, Packer().Sized(resized(area)).bytes())) << change;
  }
}

// A library that corrects what it reads: what is handed out would not be what was signed.
TEST(AttestationStructures, ALibraryThatCorrectsIsNotBelieved) {
  TssMu correcting = Table();
  correcting.attest_unmarshal = [](const std::uint8_t* buffer, std::size_t size, std::size_t* offset,
                                   TPMS_ATTEST* attest) {
    const TSS2_RC rc = Installed().attest_unmarshal(buffer, size, offset, attest);
    attest->clockInfo.safe = 1;
    return rc;
  };
  TssMu unfinished = Table();
  unfinished.attest_unmarshal = [](const std::uint8_t* buffer, std::size_t size, std::size_t* offset,
                                   TPMS_ATTEST* attest) {
    const TSS2_RC rc = Installed().attest_unmarshal(buffer, size, offset, attest);
    --*offset;
    return rc;
  };
  Forgery forgery;
  EXPECT_FALSE(ReadQuote(unfinished, forgery.Quote()));
  EXPECT_TRUE(ReadQuote(correcting, forgery.Quote()));
  forgery.safe = 0;
  EXPECT_FALSE(ReadQuote(correcting, forgery.Quote()));
  EXPECT_TRUE(ReadQuote(Installed(), forgery.Quote()));
}

TEST(AttestationStructures, ReadsWhatWasPacked) {
  Forgery forgery;
  forgery.sized_quote = true;
  const Bytes bare = forgery.Quote();
  const Bytes sized = Packer().Sized(bare).bytes();
  const Result<QuoteStructure> quote = ReadQuote(Installed(), sized);
  ASSERT_TRUE(quote);
  EXPECT_EQ(Bytes(quote.value().bytes.begin(), quote.value().bytes.end()), bare);
  EXPECT_EQ(quote.value().attest.clockInfo.clock, forgery.clock);
  EXPECT_EQ(quote.value().attest.firmwareVersion, forgery.firmware);
  EXPECT_EQ(quote.value().attest.attested.quote.pcrSelect.count, 1u);
  const Bytes sized_area = Packer().Sized(forgery.Public()).bytes();
  const Result<PublicArea> aik = ReadPublicArea(Installed(), sized_area);
  ASSERT_TRUE(aik);
  EXPECT_EQ(aik.value().area.objectAttributes, forgery.attributes);
  EXPECT_EQ(aik.value().area.parameters.rsaDetail.keyBits, 2048);
}

// libtss2-mu writes to stderr about what it refuses, unless the environment forbids it: it must not get to see any.
TEST(Structures, NothingThatIsRefusedIsWrittenAbout) {
  if (std::getenv("TSS2_LOG") != nullptr) GTEST_SKIP() << "TSS2_LOG is set";
  testing::internal::CaptureStderr();
  std::size_t refused = 0;
  const auto read_all = [&refused](const test::Bytes& quote, const test::Bytes& signature, const test::Bytes& aik) {
    if (!ReadQuote(Installed(), quote)) ++refused;
    if (!ReadSignature(Installed(), signature)) ++refused;
    if (!ReadPublicArea(Installed(), aik)) ++refused;
  };
  for (const test::Key key : {test::Key::kRsa2048, test::Key::kP256}) {
    const Forgery forgery(key);
    const test::Bytes good[] = {forgery.Quote(), forgery.Signature(), Packer().Sized(forgery.Public()).bytes()};
    read_all(good[0], good[1], good[2]);
    EXPECT_EQ(refused, 0u);
    for (std::size_t which = 0; which < 3; ++which) {
      for (std::size_t at = 0; at < good[which].size(); ++at) {
        for (const std::uint8_t value : {0x00, 0x01, 0x05, 0x06, 0x10, 0x12, 0x25, 0x44, 0x7f, 0x80, 0xfe, 0xff}) {
          test::Bytes changed[] = {good[0], good[1], good[2]};
          changed[which][at] = value;
          read_all(changed[0], changed[1], changed[2]);
        }
        test::Bytes cut[] = {good[0], good[1], good[2]};
        cut[which].resize(at);
        read_all(cut[0], cut[1], cut[2]);
        // The size in front of the AIK tells the truth, so that what is inside is looked at.
        if (which == 2 && at >= 2) {
          const test::Bytes area(good[2].begin() + 2, good[2].begin() + static_cast<std::ptrdiff_t>(at));
          read_all(good[0], good[1], Packer().Sized(area).bytes());
        }
      }
    }
    EXPECT_GT(refused, 100u);
    refused = 0;
  }
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
}

}  // namespace
}  // namespace nomyo
