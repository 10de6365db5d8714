#include "core/attestation/inspection.h"

#include <gtest/gtest.h>

#include <string>

#include "test/attestation/forge.h"

namespace nomyo {
namespace {

using test::Bytes;

TEST(AttestationInspection, ShowsWhatIsThereWithoutJudging) {
  test::Forgery forgery(test::Key::kP256);
  forgery.nonce = {0xAB};
  forgery.attributes &= ~test::kRestricted;
  forgery.sized_quote = true;
  const Result<std::string> text = InspectAttestation(forgery.Json());
  ASSERT_TRUE(text) << text.error().message;
  for (const char* part :
       {R"("form":"TPM2B_ATTEST")", R"("magicHex":"ff544347")", R"("typeHex":"8018")", R"("qualifyingDataHex":"ab")",
        R"("clock":"81234567890123")", R"("firmwareVersion":"2019081900112233")", R"("pcrSelection":"sha256:0,7,10")",
        R"("scheme":"ecdsa-sha256")", R"("curve":"P-256")", R"("nameAlg":"sha256")", R"("pcrBanks":"sha256:0,7,10")",
        R"("attributes":["fixedTPM","fixedParent","sensitiveDataOrigin","userWithAuth","sign"])"}) {
    EXPECT_NE(text.value().find(part), std::string::npos) << part << " in " << text.value();
  }
  EXPECT_NE(text.value().find(test::Hex(forgery.Name())), std::string::npos);
}

TEST(AttestationInspection, RefusesWhatCannotBeParsed) {
  for (const std::string& json : {std::string("null"), std::string("{"), std::string(R"({"is_available":false})")}) {
    EXPECT_EQ(InspectAttestation(json).error().code, Code::kInvalidArgument) << json;
  }
  test::Forgery forgery;
  forgery.edit_signed_quote = [](Bytes& quote) { quote.pop_back(); };
  EXPECT_EQ(InspectAttestation(forgery.Json()).error().code, Code::kInvalidArgument);
}

}  // namespace
}  // namespace nomyo
