// The verifier, one change at a time: each test starts from a block that verifies, changes one thing, and says which
// check must find it. The blocks are hand-packed and soft-signed (forge.h).
#include "core/attestation/verifier.h"

#include <gtest/gtest.h>
#include <cctype>
#include <functional>
#include <map>

#include <openssl/core_names.h>
#include <openssl/ec.h>

#include "core/attestation/tpm_verify_engine.h"
#include "test/attestation/forge.h"
#include "test/attestation/judge.h"
#include "test/tpm/software_tpm.h"

namespace nomyo {
namespace {

using test::CodeOf;
using test::ExpectedNonce;
using test::Forgery;
using test::Key;
using test::kPlainPolicy;
using test::Packer;
using test::Verify;

// A case: what is changed, and what must come out.
struct Case {
  const char* name;
  std::function<Forgery()> make;
  const char* code;
  const char* policy = kPlainPolicy;
};

Case Change(const char* name, std::function<void(Forgery&)> change, const char* code,
            const char* policy = kPlainPolicy) {
  return {name,
          [change] {
            Forgery forgery;
            change(forgery);
            return forgery;
          },
          code, policy};
}

Case ChangeEcc(const char* name, std::function<void(Forgery&)> change, const char* code) {
  return {name,
          [change] {
            Forgery forgery(Key::kP256);
            change(forgery);
            return forgery;
          },
          code};
}

class VerifierCase : public testing::TestWithParam<Case> {};

TEST_P(VerifierCase, HasItsCode) {
  const Case& tested = GetParam();
  EXPECT_EQ(CodeOf(tested.make(), tested.policy), tested.code);
}

// Both engines on every case: a TPM is asked too, and nothing changes. Where it has no opinion it does not know the
// key.
class VerifierCaseOnTpm : public VerifierCase {
 protected:
  static void SetUpTestSuite() {
    tpm_ = std::make_unique<test::SoftwareTpm>();
    auto opened = TpmConnection::Open(tpm_->tcti());
    ASSERT_TRUE(opened) << opened.error().message;
    connection_ = std::move(opened).value();
  }
  static void TearDownTestSuite() {
    connection_.reset();
    tpm_.reset();
  }
  static std::unique_ptr<test::SoftwareTpm> tpm_;
  static std::unique_ptr<TpmConnection> connection_;
};
std::unique_ptr<test::SoftwareTpm> VerifierCaseOnTpm::tpm_;
std::unique_ptr<TpmConnection> VerifierCaseOnTpm::connection_;

TEST_P(VerifierCaseOnTpm, HasTheSameCode) {
  const Case& tested = GetParam();
  TpmVerifyEngine engine(*connection_);
  const Report report = Verify(tested.make().Json(), tested.policy, ExpectedNonce(), &engine);
  EXPECT_EQ(CodeOf(report), tested.code);
  if (CodeOf(report) == "ok") {
    const bool rsa4096 = report.aik->rsa && report.aik->bits == 4096;
    EXPECT_EQ(report.verdict, rsa4096 ? EngineVerdict::kUnsupported : EngineVerdict::kValid);
  }
  // A TPM takes r with a zero byte too many, we do not: that contradiction is a failure as well.
  if (CodeOf(report) == "SIGNATURE_INVALID" && std::string(tested.name) != "LongR") {
    EXPECT_EQ(report.verdict, EngineVerdict::kInvalid);
  }
}

std::string CaseName(const testing::TestParamInfo<Case>& info) {
  return info.param.name;
}

// A list of cases, without a TPM and with one. In a function, so that it is compiled once.
#define INSTANTIATE_ON_BOTH(name, ...)                                                      \
  std::vector<Case> name##Cases() {                                                         \
    return {__VA_ARGS__};                                                                   \
  }                                                                                         \
  INSTANTIATE_TEST_SUITE_P(name, VerifierCase, testing::ValuesIn(name##Cases()), CaseName); \
  INSTANTIATE_TEST_SUITE_P(name, VerifierCaseOnTpm, testing::ValuesIn(name##Cases()), CaseName)

// ---- good blocks ----------------------------------------------------------------------------------------------------

constexpr const char* kSha1Policy = R"({"banks":["sha1","sha256"]})";

void AddSha384Bank(Forgery& forgery) {
  // The quote lists SHA-384 first, pcr_banks last.
  forgery.selection.insert(forgery.selection.begin(), {test::kSha384, {0x01, 0x00, 0x00}});
  forgery.pcr_values["sha384"]["0"] = test::Hex(test::HashOf(test::kSha384, {1}));
  forgery.pcr_banks += "+sha384:0";
}

INSTANTIATE_ON_BOTH(
    Good, Case{"Rsa2048RsassaSha256", [] { return Forgery(Key::kRsa2048); }, "ok"},
    Case{"Rsa2048RsassaSha384", [] { return Forgery(Key::kRsa2048, test::kRsassa, test::kSha384); }, "ok"},
    Case{"Rsa2048RsassaSha512", [] { return Forgery(Key::kRsa2048, test::kRsassa, test::kSha512); }, "ok"},
    Case{"Rsa3072Rsassa", [] { return Forgery(Key::kRsa3072); }, "ok"},
    Case{"Rsa4096Rsassa", [] { return Forgery(Key::kRsa4096); }, "ok"},
    Case{"Rsa2048RsapssSaltOfDigestLength", [] { return Forgery(Key::kRsa2048, test::kRsapss); }, "ok"},
    Case{"Rsa2048RsapssNoSalt",
         [] {
           Forgery forgery(Key::kRsa2048, test::kRsapss);
           forgery.salt_length = 0;
           return forgery;
         },
         "ok"},
    Case{"Rsa2048RsapssLongestSalt",
         [] {
           Forgery forgery(Key::kRsa2048, test::kRsapss, test::kSha384);
           forgery.salt_length = -3;
           return forgery;
         },
         "ok"},
    Case{"P256Sha256", [] { return Forgery(Key::kP256); }, "ok"},
    Case{"P384Sha384", [] { return Forgery(Key::kP384, test::kEcdsa, test::kSha384); }, "ok"},
    Case{"P521Sha512", [] { return Forgery(Key::kP521, test::kEcdsa, test::kSha512); }, "ok"},
    Change(
        "SizedQuote", [](Forgery& f) { f.sized_quote = true; }, "ok"),
    Change(
        "ExponentSpeltOut", [](Forgery& f) { f.exponent = 65537; }, "ok"),
    Change("SeveralBanksInAnotherOrder", AddSha384Bank, "ok"),
    Change(
        "FourBytesOfPcrSelect", [](Forgery& f) { f.selection[0].second.push_back(0); }, "ok"),
    Change(
        "UpperCaseHex",
        [](Forgery& f) {
          for (char& c : f.pcr_values["sha256"]["7"]) c = static_cast<char>(std::toupper(c));
        },
        "ok"),
    Change(
        "UnsafeClock", [](Forgery& f) { f.safe = 0; }, "ok"),
    Change(
        "NameAlgSha512", [](Forgery& f) { f.name_algorithm = test::kSha512; }, "ok"),
    Change(
        "FreeAttributes",
        [](Forgery& f) {
          f.attributes |= test::kStClear | test::kNoDa | test::kAdminWithPolicy;
          f.attributes &= ~test::kUserWithAuth;
          f.auth_policy = Bytes(32, 0x5A);
        },
        "ok"),
    ChangeEcc(
        "CoordinateWithoutLeadingZeros",
        [](Forgery& f) {
          while (!f.x.empty() && f.x.front() == 0) f.x.erase(f.x.begin());
        },
        "ok"),
    Change("UnknownFieldsAreIgnored", [](Forgery& f) { f.fields["later_extension"] = "[1,{}]"; }, "ok"));

// ---- the key --------------------------------------------------------------------------------------------------------

INSTANTIATE_ON_BOTH(AikType, Case{"Rsa1024", [] { return Forgery(Key::kRsa1024); }, "AIK_TYPE"},
                    Case{"Exponent3",
                         [] {
                           Forgery forgery(Key::kRsaExponent3);
                           forgery.exponent = 3;
                           return forgery;
                         },
                         "AIK_TYPE"},
                    Change(
                        "Exponent1", [](Forgery& f) { f.exponent = 1; }, "AIK_TYPE"),
                    Change(
                        "EvenModulus", [](Forgery& f) { f.modulus.back() &= 0xFE; }, "AIK_TYPE"),
                    Change(
                        "ModulusWithoutTopBit", [](Forgery& f) { f.modulus.front() &= 0x7F; }, "AIK_TYPE"),
                    Change(
                        "ModulusShorterThanDeclared", [](Forgery& f) { f.key_bits = 3072; }, "AIK_TYPE"),
                    Change(
                        "EmptyModulus", [](Forgery& f) { f.modulus.clear(); }, "AIK_TYPE"),
                    Change(
                        "ShorterThanThePolicyWants", [](Forgery&) {}, "AIK_TYPE",
                        R"({"signature":{"minRsaBits":3072}})"),
                    Case{"P192", [] { return Forgery(Key::kP192); }, "AIK_TYPE"},
                    ChangeEcc(
                        "PointOffTheCurve", [](Forgery& f) { f.y.back() ^= 1; }, "AIK_TYPE"),
                    ChangeEcc(
                        "PointOfAnotherCurve", [](Forgery& f) { f.curve = 4; }, "AIK_TYPE"),
                    ChangeEcc(
                        "Infinity", [](Forgery& f) { f.x.clear(), f.y.clear(); }, "AIK_TYPE"),
                    ChangeEcc(
                        "ZeroPoint", [](Forgery& f) { f.x.assign(32, 0), f.y.assign(32, 0); }, "AIK_TYPE"),
                    ChangeEcc("LongCoordinate", [](Forgery& f) { f.x.insert(f.x.begin(), 0); }, "AIK_TYPE"));

INSTANTIATE_ON_BOTH(AikAttributes,
                    Change(
                        "NameAlgSha1", [](Forgery& f) { f.name_algorithm = test::kSha1; }, "AIK_ATTRIBUTES"),
                    Change(
                        "NameAlgNull", [](Forgery& f) { f.name_algorithm = test::kNull; }, "AIK_ATTRIBUTES"),
                    Change(
                        "Unrestricted", [](Forgery& f) { f.attributes &= ~test::kRestricted; }, "AIK_ATTRIBUTES"),
                    Change(
                        "Symmetric", [](Forgery& f) { f.symmetric = test::kAes; }, "AIK_ATTRIBUTES"),
                    ChangeEcc(
                        "SymmetricOfEcc", [](Forgery& f) { f.symmetric = test::kAes; }, "AIK_ATTRIBUTES"),
                    ChangeEcc(
                        "KeyDerivation", [](Forgery& f) { f.kdf = test::kKdf1; }, "AIK_ATTRIBUTES"),
                    // What a forger does with a TPM key that signs anything: a made-up quote of zeros.
                    Change(
                        "ForgedByUnrestrictedKey",
                        [](Forgery& f) {
                          f.attributes &= ~test::kRestricted;
                          for (auto& [index, value] : f.pcr_values["sha256"]) value.assign(64, '0');
                        },
                        "AIK_ATTRIBUTES"));

TEST(VerifierAttributes, EachBitAloneIsRequiredFreeOrForbidden) {
  const std::map<int, bool> free = {{2, true}, {6, true}, {7, true}, {10, true}};
  for (int bit = 0; bit < 32; ++bit) {
    for (const Key key : {Key::kRsa2048, Key::kP256}) {
      Forgery forgery(key);
      forgery.attributes ^= 1U << bit;
      EXPECT_EQ(CodeOf(forgery), free.contains(bit) ? "ok" : "AIK_ATTRIBUTES") << "bit " << bit;
    }
  }
}

// ---- schemes and signatures -----------------------------------------------------------------------------------------

INSTANTIATE_ON_BOTH(
    Schemes,

    Change(
        "RsassaRelabelledRsapss",
        [](Forgery& f) { f.signature_scheme = test::kRsapss, f.signing_scheme = test::kRsassa; }, "AIK_SCHEME"),
    Case{"RsapssRelabelledRsassa",
         [] {
           Forgery forgery(Key::kRsa2048, test::kRsapss);
           forgery.signature_scheme = test::kRsassa;
           forgery.signing_scheme = test::kRsapss;
           return forgery;
         },
         "AIK_SCHEME"},
    Change(
        "RelabelledInTheKeyToo",
        [](Forgery& f) {
          f.key_scheme = f.signature_scheme = test::kRsapss;
          f.signing_scheme = test::kRsassa;
        },
        "SIGNATURE_INVALID"),
    Change(
        "OtherSchemeThatVerifies", [](Forgery& f) { f.signature_scheme = test::kRsapss; }, "AIK_SCHEME"),
    Change(
        "OtherHashThatVerifies", [](Forgery& f) { f.signature_hash = test::kSha384; }, "AIK_SCHEME"),
    Change(
        "Sha1Signature", [](Forgery& f) { f.signature_hash = test::kSha1; }, "AIK_SCHEME"),
    Case{"Sha1KeyAndSignature", [] { return Forgery(Key::kRsa2048, test::kRsassa, test::kSha1); }, "AIK_SCHEME"},
    Change(
        "RestrictedKeyWithoutScheme", [](Forgery& f) { f.key_scheme = test::kNull; }, "AIK_SCHEME"),
    Change(
        "NullSignature", [](Forgery& f) { f.edit_signature = [](Bytes& b) { b = {0x00, 0x10}; }; }, "AIK_SCHEME"),
    Change(
        "NullKeyAndSignature",
        [](Forgery& f) {
          f.key_scheme = test::kNull;
          f.edit_signature = [](Bytes& b) { b = {0x00, 0x10}; };
        },
        "AIK_SCHEME"),
    Change(
        "HmacSignature",
        [](Forgery& f) {
          f.edit_signature = [](Bytes& b) { b = Packer().U16(0x0005).U16(0x000B).Raw(Bytes(32, 7)).bytes(); };
        },
        "AIK_SCHEME"),
    Change(
        "EcdsaSignatureOfRsaKey",
        [](Forgery& f) { f.signing_key = test::KeyOf(Key::kP256), f.signature_scheme = test::kEcdsa; }, "AIK_SCHEME"),
    Change(
        "EcdsaSchemeAndSignatureOfRsaKey",
        [](Forgery& f) {
          f.signing_key = test::KeyOf(Key::kP256);
          f.key_scheme = f.signature_scheme = test::kEcdsa;
        },
        "SIGNATURE_SCHEME"),
    ChangeEcc(
        "RsassaSignatureOfEccKey",
        [](Forgery& f) { f.signing_key = test::KeyOf(Key::kRsa2048), f.signature_scheme = test::kRsassa; },
        "AIK_SCHEME"),
    ChangeEcc(
        "RsassaSchemeAndSignatureOfEccKey",
        [](Forgery& f) {
          f.signing_key = test::KeyOf(Key::kRsa2048);
          f.key_scheme = f.signature_scheme = test::kRsassa;
        },
        "SIGNATURE_SCHEME"),
    ChangeEcc(
        "Ecdaa", [](Forgery& f) { f.key_scheme = f.signature_scheme = test::kEcdaa; }, "SIGNATURE_SCHEME"),
    ChangeEcc(
        "Sm2", [](Forgery& f) { f.key_scheme = f.signature_scheme = test::kSm2; }, "SIGNATURE_SCHEME"),
    ChangeEcc(
        "Schnorr", [](Forgery& f) { f.key_scheme = f.signature_scheme = test::kEcschnorr; }, "SIGNATURE_SCHEME"),
    Change(
        "SchemeNotInThePolicy", [](Forgery&) {}, "SIGNATURE_SCHEME", R"({"signature":{"schemes":["ecdsa"]}})"),
    Change("HashNotInThePolicy", [](Forgery&) {}, "SIGNATURE_SCHEME", R"({"signature":{"hashes":["sha384"]}})"));

// EditValue changes the RSA signature's value; its size follows.
std::function<void(Forgery&)> EditValue(std::function<void(Bytes&)> edit) {
  return [edit](Forgery& forgery) {
    forgery.edit_signature = [edit](Bytes& bytes) {
      Bytes value(bytes.begin() + 6, bytes.end());
      edit(value);
      bytes = Packer().U16(test::kRsassa).U16(test::kSha256).Sized(value).bytes();
    };
  };
}

// EditRs does the same for r and s, given as numbers beside the curve's order.
std::function<void(Forgery&)> EditRs(std::function<void(BIGNUM* r, BIGNUM* s, const BIGNUM* order)> edit) {
  return [edit](Forgery& forgery) {
    forgery.edit_signature = [edit](Bytes& bytes) {
      BIGNUM* r = BN_bin2bn(bytes.data() + 6, 32, nullptr);
      BIGNUM* s = BN_bin2bn(bytes.data() + 40, 32, nullptr);
      EC_GROUP* group = EC_GROUP_new_by_curve_name(NID_X9_62_prime256v1);
      edit(r, s, EC_GROUP_get0_order(group));
      Packer out;
      out.U16(test::kEcdsa).U16(test::kSha256);
      for (const BIGNUM* number : {r, s}) {
        Bytes value(static_cast<std::size_t>(BN_num_bytes(number)));
        BN_bn2bin(number, value.data());
        out.Sized(value.empty() ? Bytes{0} : value);
      }
      bytes = out.bytes();
      EC_GROUP_free(group);
      BN_free(r);
      BN_free(s);
    };
  };
}

INSTANTIATE_ON_BOTH(
    Signatures,

    Change(
        "OfAnotherAik", [](Forgery& f) { f.signing_key = test::KeyOf(Key::kRsa2048Other); }, "SIGNATURE_INVALID"),
    ChangeEcc(
        "OfAnotherEccAik", [](Forgery& f) { f.signing_key = test::KeyOf(Key::kP256Other); }, "SIGNATURE_INVALID"),
    Change(
        "OverAnotherHash", [](Forgery& f) { f.signing_hash = test::kSha384; }, "SIGNATURE_INVALID"),
    Change("AllZero", EditValue([](Bytes& v) { v.assign(256, 0); }), "SIGNATURE_INVALID"),
    Change("EmptyValue", EditValue([](Bytes& v) { v.clear(); }), "SIGNATURE_INVALID"),
    Change("OneByteShort", EditValue([](Bytes& v) { v.pop_back(); }), "SIGNATURE_INVALID"),
    Change("OneByteLong", EditValue([](Bytes& v) { v.push_back(0); }), "SIGNATURE_INVALID"),
    Change("OneZeroByteInFront", EditValue([](Bytes& v) { v.insert(v.begin(), 0); }), "SIGNATURE_INVALID"),
    Change(
        "EmptyField", [](Forgery& f) { f.fields["signature_b64"] = R"("")"; }, "ATTESTATION_MISSING"),
    Change(
        "QuoteOfAnotherClock", [](Forgery& f) { f.edit_signed_quote = [](Bytes& q) { q[70] ^= 1; }; },
        "SIGNATURE_INVALID"),
    ChangeEcc("ShortRAndS", EditRs([](BIGNUM*, BIGNUM*, const BIGNUM*) {}), "ok"),
    ChangeEcc("NegatedSVerifiesToo", EditRs([](BIGNUM*, BIGNUM* s, const BIGNUM* n) { BN_sub(s, n, s); }), "ok"),
    ChangeEcc("RZero", EditRs([](BIGNUM* r, BIGNUM*, const BIGNUM*) { BN_zero(r); }), "SIGNATURE_INVALID"),
    ChangeEcc("SZero", EditRs([](BIGNUM*, BIGNUM* s, const BIGNUM*) { BN_zero(s); }), "SIGNATURE_INVALID"),
    ChangeEcc("ROrder", EditRs([](BIGNUM* r, BIGNUM*, const BIGNUM* n) { BN_copy(r, n); }), "SIGNATURE_INVALID"),
    ChangeEcc("SOrder", EditRs([](BIGNUM*, BIGNUM* s, const BIGNUM* n) { BN_copy(s, n); }), "SIGNATURE_INVALID"),
    ChangeEcc("SPlusOrder", EditRs([](BIGNUM*, BIGNUM* s, const BIGNUM* n) { BN_add(s, s, n); }), "SIGNATURE_INVALID"),
    ChangeEcc("RPlusOrder", EditRs([](BIGNUM* r, BIGNUM*, const BIGNUM* n) { BN_add(r, r, n); }), "SIGNATURE_INVALID"),
    ChangeEcc(
        "LongR", [](Forgery& f) { f.edit_signature = [](Bytes& b) { b[5] = 33, b.insert(b.begin() + 6, 0); }; },
        "SIGNATURE_INVALID"),
    ChangeEcc(
        "EmptyRAndS", [](Forgery& f) { f.edit_signature = [](Bytes& b) { b.resize(4), b.insert(b.end(), 4, 0); }; },
        "SIGNATURE_INVALID"));

// ---- the signed structure -------------------------------------------------------------------------------------------

INSTANTIATE_ON_BOTH(
    Structure,

    Change(
        "WrongMagicSignedByRestrictedKey", [](Forgery& f) { f.magic = 0xFF544346; }, "QUOTE_MAGIC"),
    Change(
        "ZeroMagicSized", [](Forgery& f) { f.magic = 0, f.sized_quote = true; }, "QUOTE_MAGIC"),
    Change(
        "WrongMagicAndTrailingByte", [](Forgery& f) { f.magic = 0, f.edit_quote = [](Bytes& q) { q.push_back(0); }; },
        "ATTESTATION_MALFORMED"),
    Change(
        "WrongMagicAndType", [](Forgery& f) { f.magic = 0, f.attest_type = 0x8017; }, "ATTESTATION_MALFORMED"),
    Change(
        "TypeChangedAfterSigning", [](Forgery& f) { f.edit_signed_quote = [](Bytes& q) { q[5] = 0x17; }; },
        "SIGNATURE_INVALID"),
    Change(
        "TypeChangedBeforeSigning", [](Forgery& f) { f.attest_type = 0x8017; }, "QUOTE_TYPE"),
    // TPMS_CERTIFY_INFO: name, qualifiedName.
    Change(
        "Certify",
        [](Forgery& f) {
          f.attest_type = 0x8017;
          f.attested = Packer().Sized(Bytes(34, 1)).Sized(Bytes(34, 2)).bytes();
        },
        "QUOTE_TYPE"),
    // TPMS_TIME_ATTEST_INFO: time, clockInfo, firmwareVersion.
    Change(
        "GetTime",
        [](Forgery& f) {
          f.attest_type = 0x8019;
          f.attested = Packer().U64(1).U64(2).U32(3).U32(4).U8(1).U64(5).bytes();
        },
        "QUOTE_TYPE"),
    // TPMS_CREATION_INFO: objectName, creationHash.
    Change(
        "Creation",
        [](Forgery& f) {
          f.attest_type = 0x801A;
          f.attested = Packer().Sized(Bytes(34, 1)).Sized(Bytes(32, 2)).bytes();
        },
        "QUOTE_TYPE"),
    // TPMS_NV_CERTIFY_INFO: indexName, offset, nvContents.
    Change(
        "Nv",
        [](Forgery& f) {
          f.attest_type = 0x8014;
          f.attested = Packer().Sized(Bytes(34, 1)).U16(0).Sized(Bytes(64, 3)).bytes();
        },
        "QUOTE_TYPE"),
    // A certification whose content reads as a quote's: only its type tells.
    Change(
        "CertifyThatReadsLikeAQuote",
        [](Forgery& f) {
          f.attest_type = 0x8017;
          f.attested = Packer().U32(1).U16(test::kSha256).U8(3).Raw({0x81, 4, 0}).Sized(Bytes(32, 1)).bytes();
        },
        "QUOTE_TYPE"),
    Change(
        "QualifiedSignerEmpty", [](Forgery& f) { f.qualified_signer = Bytes(); }, "SIGNER_NAME"),
    Change(
        "QualifiedSignerIsAHandle", [](Forgery& f) { f.qualified_signer = Bytes{0x40, 0, 0, 1}; }, "SIGNER_NAME"),
    Change(
        "QualifiedSignerOneByteShort",
        [](Forgery& f) { f.qualified_signer = Packer().U16(0xB).Raw(Bytes(31)).bytes(); }, "SIGNER_NAME"),
    Change(
        "QualifiedSignerOfAnotherHash",
        [](Forgery& f) { f.qualified_signer = Packer().U16(test::kSha384).Raw(Bytes(48)).bytes(); }, "SIGNER_NAME"),
    Change(
        "ChildWhereAPrimaryIsWanted",
        [](Forgery& f) { f.qualified_signer = Packer().U16(0xB).Raw(Bytes(32, 9)).bytes(); }, "SIGNER_NAME",
        R"({"requirePrimary":true})"),
    Change(
        "SafeOfTwo", [](Forgery& f) { f.safe = 2; }, "ATTESTATION_MALFORMED"),
    Change(
        "NonceOfNoBytes", [](Forgery& f) { f.nonce.clear(); }, "NONCE_MISMATCH"),
    Change(
        "NonceOf15Bytes", [](Forgery& f) { f.nonce.pop_back(); }, "NONCE_MISMATCH"),
    Change(
        "NonceOf17Bytes", [](Forgery& f) { f.nonce.push_back(0); }, "NONCE_MISMATCH"),
    Change(
        "NonceOf32Bytes", [](Forgery& f) { f.nonce.resize(32); }, "NONCE_MISMATCH"),
    Change("NonceOfAnotherRequest", [](Forgery& f) { f.nonce = Bytes(16, 0x33); }, "NONCE_MISMATCH"));

TEST(VerifierNonce, AnEmptyExpectationIsNeverMet) {
  Forgery forgery;
  forgery.nonce.clear();
  EXPECT_EQ(CodeOf(Verify(forgery.Json(), kPlainPolicy, {})), "NONCE_MISMATCH");
}

// ---- PCRs -----------------------------------------------------------------------------------------------------------

std::function<void(Forgery&)> WithDigestOf(std::function<void(Forgery&)> change) {
  return [change](Forgery& forgery) {
    forgery.pcr_digest = test::HashOf(forgery.signature_hash, forgery.SelectedValues());
    change(forgery);
  };
}

INSTANTIATE_ON_BOTH(
    Pcrs,

    Change("ValuesSwapped",
           WithDigestOf([](Forgery& f) { std::swap(f.pcr_values["sha256"]["0"], f.pcr_values["sha256"]["7"]); }),
           "PCR_DIGEST"),
    Change("OneBitOfAValue", WithDigestOf([](Forgery& f) {
             char& digit = f.pcr_values["sha256"]["7"][5];
             digit = digit == '0' ? '1' : '0';
           }),
           "PCR_DIGEST"),
    Change("ValuesUnderAnotherIndex", WithDigestOf([](Forgery& f) {
             auto node = f.pcr_values["sha256"].extract("7");
             node.key() = "8";
             f.pcr_values["sha256"].insert(std::move(node));
           }),
           "PCR_SELECTION"),
    Change("BanksAndValuesUnderAnotherIndex", WithDigestOf([](Forgery& f) {
             auto node = f.pcr_values["sha256"].extract("7");
             node.key() = "8";
             f.pcr_values["sha256"].insert(std::move(node));
             f.pcr_banks = "sha256:0,8,10";
           }),
           "PCR_SELECTION"),
    Change("ValuesUnderAnotherBank", WithDigestOf([](Forgery& f) {
             f.pcr_banks = "sha384:0,7,10";
             f.pcr_values = {
                 {"sha384", {{"0", std::string(96, '1')}, {"7", std::string(96, '2')}, {"10", std::string(96, '3')}}}};
           }),
           "PCR_SELECTION"),
    // CVE-2022-0317: the digest is right, the bank a weaker one than shown.
    Change("QuoteOfSha1ShownAsSha256", WithDigestOf([](Forgery& f) { f.selection[0].first = test::kSha1; }),
           "PCR_SELECTION", kSha1Policy),
    Change("OneMoreInValues", WithDigestOf([](Forgery& f) { f.pcr_values["sha256"]["1"] = std::string(64, '1'); }),
           "PCR_SELECTION"),
    Change(
        "OneMoreInBanks", [](Forgery& f) { f.pcr_banks = "sha256:0,1,7,10"; }, "PCR_SELECTION"),
    Change("OneMoreInTheQuote", WithDigestOf([](Forgery& f) { f.selection[0].second[0] |= 2; }), "PCR_SELECTION"),
    Change("OneMissingInValues", WithDigestOf([](Forgery& f) { f.pcr_values["sha256"].erase("7"); }), "PCR_SELECTION"),
    Change(
        "OneMissingInBanks", [](Forgery& f) { f.pcr_banks = "sha256:0,10"; }, "PCR_SELECTION"),
    Change("OneMissingInTheQuote", WithDigestOf([](Forgery& f) { f.selection[0].second[0] &= 0x7F; }), "PCR_SELECTION"),
    Change(
        "BankTwiceInTheQuote",
        [](Forgery& f) {
          f.pcr_digest = test::HashOf(test::kSha256, f.SelectedValues());
          f.selection = {{test::kSha256, {0x81, 0, 0}}, {test::kSha256, {0, 4, 0}}};
        },
        "PCR_SELECTION"),
    Change(
        "BankTwiceInBanks", [](Forgery& f) { f.pcr_banks = "sha256:0,7+sha256:10"; }, "ATTESTATION_MALFORMED"),
    Change(
        "IndexTwiceInBanks", [](Forgery& f) { f.pcr_banks = "sha256:0,7,10,7"; }, "ATTESTATION_MALFORMED"),
    // CVE-2024-29039: nothing is selected, and the digest of nothing is right.
    Change(
        "EmptySelectionAndRightDigest",
        [](Forgery& f) {
          f.selection.clear();
          f.pcr_digest = test::HashOf(test::kSha256, {});
        },
        "PCR_SELECTION"),
    Change(
        "EmptyBankAndRightDigest",
        [](Forgery& f) {
          f.selection = {{test::kSha256, {0, 0, 0}}};
          f.pcr_digest = test::HashOf(test::kSha256, {});
        },
        "PCR_SELECTION"),
    Change(
        "EmptySelectionEverywhere",
        [](Forgery& f) {
          f.selection.clear();
          f.pcr_digest = test::HashOf(test::kSha256, {});
          f.pcr_banks.clear();
          f.pcr_values.clear();
        },
        "ATTESTATION_MISSING"),
    Change("BitsOver23", WithDigestOf([](Forgery& f) { f.selection[0].second.push_back(1); }), "PCR_SELECTION"),
    Change(
        "BankWithoutPcrsBesides", [](Forgery& f) { f.selection.push_back({test::kSha384, {0, 0, 0}}); },
        "PCR_SELECTION"),
    Change(
        "DigestInTheClaimedOrder",
        [](Forgery& f) {
          AddSha384Bank(f);
          Forgery claimed = f;
          std::swap(claimed.selection[0], claimed.selection[1]);
          f.pcr_digest = test::HashOf(test::kSha256, claimed.SelectedValues());
        },
        "PCR_DIGEST"),
    Case{"DigestWithTheBanksHash",
         [] {
           Forgery forgery(Key::kRsa2048, test::kRsassa, test::kSha384);
           forgery.digest_hash = test::kSha256;
           return forgery;
         },
         "PCR_DIGEST"},
    Change(
        "EmptyDigest", [](Forgery& f) { f.pcr_digest = Bytes(); }, "PCR_DIGEST"),
    Change(
        "Sha1BankUnasked",
        [](Forgery& f) {
          f.selection = {{test::kSha1, {1, 0, 0}}};
          f.pcr_banks = "sha1:0";
          f.pcr_values = {{"sha1", {{"0", std::string(40, 'a')}}}};
        },
        "PCR_BANK"),
    Change(
        "Sha1BankAsked",
        [](Forgery& f) {
          f.selection = {{test::kSha1, {1, 0, 0}}};
          f.pcr_banks = "sha1:0";
          f.pcr_values = {{"sha1", {{"0", std::string(40, 'a')}}}};
        },
        "ok", kSha1Policy),
    Change(
        "BankNotInThePolicy", [](Forgery&) {}, "PCR_BANK", R"({"banks":["sha384"]})"),
    Change(
        "RequiredPcrsAreThere", [](Forgery&) {}, "ok", R"({"required":{"sha256":[0,7]}})"),
    Change(
        "RequiredPcrMissing", [](Forgery&) {}, "PCR_SELECTION", R"({"required":{"sha256":[0,7,8]}})"),
    Change("RequiredPcrInAnotherBank", [](Forgery&) {}, "PCR_SELECTION", R"({"required":{"sha384":[0]}})"));

TEST(VerifierPcrs, Every24IsVerified) {
  Forgery forgery(Key::kP256);
  forgery.selection = {{test::kSha256, {0xFF, 0xFF, 0xFF}}};
  forgery.pcr_banks = "sha256:";
  for (int index = 0; index < 24; ++index) {
    forgery.pcr_banks += (index == 0 ? "" : ",") + std::to_string(index);
    forgery.pcr_values["sha256"][std::to_string(index)] = test::Hex(Bytes(32, static_cast<std::uint8_t>(index)));
  }
  const Report report = Verify(forgery.Json());
  EXPECT_EQ(CodeOf(report), "ok");
  ASSERT_TRUE(report.pcrs.has_value());
  EXPECT_EQ(report.pcrs->at(test::kSha256).size(), 24u);
}

TEST(VerifierPcrs, MessageExplainsIma) {
  Forgery forgery;
  forgery.pcr_digest = Bytes(32, 1);
  const Report with_ima = Verify(forgery.Json());
  EXPECT_NE(with_ima.checks.at(Check::kPcrDigest).detail.find("IMA"), std::string::npos);
  forgery.selection = {{test::kSha256, {0x81, 0, 0}}};
  forgery.pcr_values["sha256"].erase("10");
  forgery.pcr_banks = "sha256:0,7";
  const Report without = Verify(forgery.Json());
  EXPECT_EQ(CodeOf(without), "PCR_DIGEST");
  EXPECT_EQ(without.checks.at(Check::kPcrDigest).detail.find("IMA"), std::string::npos);
}

TEST(VerifierPcrs, GrammarOfIndicesAndBanks) {
  for (const char* index : {"-1", "24", "07", "1e1", " 7", "7 ", "+7", "0x7", "\xEF\xBC\x97", "__proto__", "", "100"}) {
    Forgery values;
    values.pcr_values["sha256"][index] = std::string(64, '1');
    EXPECT_EQ(CodeOf(values), "ATTESTATION_MALFORMED") << "pcr_values index '" << index << "'";
    Forgery banks;
    banks.pcr_banks = std::string("sha256:0,7,10,") + index;
    EXPECT_EQ(CodeOf(banks), "ATTESTATION_MALFORMED") << "pcr_banks index '" << index << "'";
  }
  for (const char* bank : {"__proto__", "SHA256", "sha-256", "md5", "", "sha256 "}) {
    Forgery values;
    values.pcr_values[bank]["0"] = std::string(64, '1');
    EXPECT_EQ(CodeOf(values), "ATTESTATION_MALFORMED") << "pcr_values bank '" << bank << "'";
    Forgery banks;
    banks.pcr_banks = std::string("sha256:0,7,10+") + bank + ":0";
    EXPECT_EQ(CodeOf(banks), "ATTESTATION_MALFORMED") << "pcr_banks bank '" << bank << "'";
  }
  for (const char* text :
       {"sha256", "sha256:", ":0", "sha256:0,", ",", "sha256:0,7,10+", "+sha256:0,7,10", "sha256=0", "sha256:0;7"}) {
    Forgery banks;
    banks.pcr_banks = text;
    EXPECT_EQ(CodeOf(banks), "ATTESTATION_MALFORMED") << text;
  }
}

TEST(VerifierPcrs, HexIsExact) {
  const std::string good(64, 'a');
  for (const std::string& value : {"0x" + good.substr(2), "0x" + good, good.substr(1), good.substr(2), good + "aa",
                                   good.substr(1) + "g", good.substr(1) + " ", std::string()}) {
    Forgery forgery;
    forgery.pcr_values["sha256"]["7"] = value;
    EXPECT_EQ(CodeOf(forgery), "ATTESTATION_MALFORMED") << value;
  }
}

// ---- what JSON can do -----------------------------------------------------------------------------------------------

constexpr const char* kFields[] = {"pcr_banks", "pcr_values", "quote_b64", "signature_b64", "aik_pubkey_b64"};

TEST(VerifierBlock, FieldsMissingOrOfAnotherType) {
  for (const char* field : kFields) {
    const bool is_object = std::string(field) == "pcr_values";
    for (const std::string& json :
         {std::string(), std::string("null"), std::string("7"), std::string("true"), std::string("[]"),
          std::string("[\"AAAA\"]"), std::string(is_object ? "{}" : "\"\""), std::string(is_object ? "\"x\"" : "{}"),
          '"' + std::string(1 << 20, 'A') + '"'}) {
      Forgery forgery;
      forgery.fields[field] = json;
      EXPECT_EQ(CodeOf(forgery), "ATTESTATION_MISSING") << field << " = " << json.substr(0, 20);
    }
  }
}

TEST(VerifierBlock, IsAvailableIsExactlyTrue) {
  for (const char* json : {"", "false", "\"true\"", "1", "null", "[true]", "{}"}) {
    Forgery forgery;
    forgery.fields["is_available"] = json;
    EXPECT_EQ(CodeOf(forgery), "ATTESTATION_MISSING") << json;
  }
}

TEST(VerifierBlock, NotAnObject) {
  for (const char* json : {"null", "true", "[]", "[{}]", "\"text\"", "17", "{}"}) {
    EXPECT_EQ(CodeOf(Verify(json)), "ATTESTATION_MISSING") << json;
  }
  const std::string good = Forgery().Json();
  for (const std::string& json :
       {std::string(), std::string("{"), good + " 1", good.substr(0, good.size() - 1),
        std::string("\xEF\xBB\xBF") + good, std::string(1000, '['), std::string("{\"a\":\"\xFF\"}"),
        std::string(R"({"a":"\ud800"})"), std::string(R"({"a":1,)") + good.substr(1) + "}"}) {
    EXPECT_EQ(CodeOf(Verify(json)), "ATTESTATION_MALFORMED") << json.substr(0, 40);
  }
}

TEST(VerifierBlock, ADuplicateKeyAnywhere) {
  const std::string good = Forgery().Json();
  EXPECT_EQ(CodeOf(Verify(R"({"is_available":true,)" + good.substr(1))), "ATTESTATION_MALFORMED");
  Forgery index;
  index.fields["pcr_values"] =
      R"({"sha256":{"0":")" + std::string(64, '1') + R"(","0":")" + std::string(64, '1') + R"("}})";
  EXPECT_EQ(CodeOf(index), "ATTESTATION_MALFORMED");
  Forgery bank;
  bank.fields["pcr_values"] = R"({"sha256":{"0":"11"},"sha256":{"0":"11"}})";
  EXPECT_EQ(CodeOf(bank), "ATTESTATION_MALFORMED");
}

TEST(VerifierBlock, ValuesOfOtherTypesInside) {
  for (const char* json : {R"({"sha256":"x"})", R"({"sha256":[]})", R"({"sha256":{}})", R"({"sha256":{"0":7}})",
                           R"({"sha256":{"0":["aa"]}})", R"({"sha256":null})"}) {
    Forgery forgery;
    forgery.fields["pcr_values"] = json;
    EXPECT_EQ(CodeOf(forgery), "ATTESTATION_MALFORMED") << json;
  }
}

TEST(VerifierBlock, TooManyBanksOrPcrs) {
  Forgery banks;
  std::string json = "{";
  for (int i = 0; i < 17; ++i) json += (i == 0 ? "\"b" : ",\"b") + std::to_string(i) + "\":{\"0\":\"\"}";
  banks.fields["pcr_values"] = json + "}";
  EXPECT_EQ(CodeOf(banks), "ATTESTATION_MISSING");
  Forgery pcrs;
  json = "{\"sha256\":{";
  for (int i = 0; i < 25; ++i) json += (i == 0 ? "\"" : ",\"") + std::to_string(i) + "\":\"\"";
  pcrs.fields["pcr_values"] = json + "}}";
  EXPECT_EQ(CodeOf(pcrs), "ATTESTATION_MISSING");
}

TEST(VerifierBlock, Base64IsCanonical) {
  const Forgery good;
  int padded = 0;
  for (const auto& [field, bytes] :
       std::map<const char*, Bytes>{{"quote_b64", good.Quote()},
                                    {"signature_b64", good.Signature()},
                                    {"aik_pubkey_b64", Packer().Sized(good.Public()).bytes()}}) {
    const std::string text = test::Base64(bytes);
    std::vector<std::string> others = {text + "=",
                                       text + "====",
                                       " " + text,
                                       text + "\\n",
                                       text + " ",
                                       text.substr(0, 4) + "\\n" + text.substr(4),
                                       "=" + text.substr(1),
                                       "-_" + text.substr(2),
                                       text.substr(0, 8) + "\\u0000" + text.substr(9),
                                       text.substr(1)};
    if (const std::size_t padding = text.find('='); padding != std::string::npos) {
      ++padded;
      others.push_back(text.substr(0, padding));
      others.push_back(text);
      ++others.back()[padding - 1];  // a spare bit: the decoded bytes are the same
    }
    for (const std::string& other : others) {
      Forgery forgery;
      forgery.fields[field] = "\"" + other + "\"";
      EXPECT_EQ(CodeOf(forgery), "ATTESTATION_MALFORMED") << field << " " << other;
    }
  }
  EXPECT_GT(padded, 0);
}

// ---- profiles -------------------------------------------------------------------------------------------------------

std::string PinnedPolicy(const std::string& pcrs_a, const std::string& pcrs_b) {
  return R"({"profiles":[{"name":"a","pcrs":{"sha256":)" + pcrs_a + R"(}},{"name":"b","note":"n","pcrs":{"sha256":)" +
         pcrs_b + "}}]}";
}

TEST(VerifierProfiles, OneProfileMustFitAsAWhole) {
  Forgery forgery;
  const std::string pcr0 = forgery.pcr_values["sha256"]["0"], pcr7 = forgery.pcr_values["sha256"]["7"];
  const std::string other(64, '1');
  const auto pcrs = [](const std::string& zero, const std::string& seven) {
    return R"({"0":")" + zero + R"(","7":")" + seven + "\"}";
  };
  const Report fits = Verify(forgery.Json(), PinnedPolicy(pcrs(other, pcr7), pcrs(pcr0, pcr7)));
  EXPECT_EQ(CodeOf(fits), "ok");
  EXPECT_EQ(fits.profile, "b");
  // The firmware of one profile, the Secure Boot state of the other.
  const Report mixed = Verify(forgery.Json(), PinnedPolicy(pcrs(pcr0, other), pcrs(other, pcr7)));
  EXPECT_EQ(CodeOf(mixed), "PCR_BASELINE");
  EXPECT_FALSE(mixed.profile.has_value());
  // The values are the TPM's own, whatever the policy thinks of them: they are shown, so that a person can compare.
  EXPECT_TRUE(mixed.pcrs.has_value());
}

TEST(VerifierProfiles, ListsCaseAndAny) {
  Forgery forgery;
  std::string upper = forgery.pcr_values["sha256"]["0"];
  for (char& c : upper) c = static_cast<char>(std::toupper(c));
  const std::string other(64, '1');
  const auto code = [&](const std::string& pcrs) {
    return CodeOf(Verify(forgery.Json(), R"({"profiles":[{"name":"a","pcrs":)" + pcrs + "}]}"));
  };
  EXPECT_EQ(code(R"({"sha256":{"0":[")" + other + R"(",")" + upper + R"("],"10":"any"}})"), "ok");
  EXPECT_EQ(code(R"({"sha256":{"0":[")" + other + R"("],"10":"any"}})"), "PCR_BASELINE");
  EXPECT_EQ(code(R"({"sha256":{"8":"any"}})"), "PCR_BASELINE") << "not quoted";
  EXPECT_EQ(code(R"({"sha384":{"0":"any"}})"), "PCR_BASELINE") << "quoted in another bank";
  for (const char digit : {'0', 'f'}) {
    forgery.pcr_values["sha256"]["10"] = std::string(64, digit);
    EXPECT_EQ(code(R"({"sha256":{"10":"any"}})"), "PCR_BASELINE") << digit;
    EXPECT_EQ(code(R"({"sha256":{"0":"any"}})"), "ok");
  }
}

TEST(VerifierProfiles, UnverifiedValuesAreNeitherComparedNorShown) {
  Forgery forgery;
  forgery.nonce[0] ^= 1;
  const Report report = Verify(forgery.Json(), R"({"profiles":[{"name":"a","pcrs":{"sha256":{"10":"any"}}}]})");
  EXPECT_EQ(report.checks.at(Check::kPcrBaseline).outcome, Outcome::kNotRun);
  EXPECT_FALSE(report.pcrs.has_value());
  EXPECT_FALSE(report.profile.has_value());
}

// ---- what the report says -------------------------------------------------------------------------------------------

TEST(VerifierReport, HierarchyAndCounters) {
  const std::map<std::uint32_t, std::pair<std::string, bool>> expected = {
      {test::kOwner, {"primary:owner", false}},      {test::kEndorsement, {"primary:endorsement", true}},
      {test::kPlatform, {"primary:platform", true}}, {test::kNullHierarchy, {"primary:null", false}},
      {0x40000005, {"child-or-unknown", false}},
  };
  for (const Key key : {Key::kRsa2048, Key::kP256}) {
    for (const auto& [handle, want] : expected) {
      Forgery forgery(key);
      forgery.hierarchy = handle;
      const Report report = Verify(forgery.Json());
      EXPECT_EQ(CodeOf(report), "ok");
      ASSERT_TRUE(report.aik && report.quote);
      EXPECT_EQ(report.aik->hierarchy, want.first);
      EXPECT_EQ(report.aik->name_hex, test::Hex(forgery.Name()));
      ASSERT_EQ(report.quote->counters.has_value(), want.second);
      if (want.second) {
        EXPECT_EQ(report.quote->counters->reset, forgery.reset_count);
        EXPECT_EQ(report.quote->counters->restart, forgery.restart_count);
        EXPECT_EQ(report.quote->counters->firmware, forgery.firmware);
      }
      EXPECT_EQ(report.quote->clock, forgery.clock);
      EXPECT_EQ(CodeOf(Verify(forgery.Json(), R"({"requirePrimary":true})")),
                want.first == "child-or-unknown" ? "SIGNER_NAME" : "ok");
    }
  }
}

TEST(VerifierReport, AllChecksThatCanRunDo) {
  Forgery forgery;
  forgery.attributes &= ~test::kFixedTpm;
  forgery.nonce = Bytes(16);
  forgery.pcr_digest = Bytes(32);
  const Report report = Verify(forgery.Json(), R"({"banks":["sha384"]})");
  EXPECT_EQ(CodeOf(report), "AIK_ATTRIBUTES");
  for (const Check failed : {Check::kAikAttributes, Check::kNonceMismatch, Check::kPcrBank, Check::kPcrDigest}) {
    EXPECT_EQ(report.checks.at(failed).outcome, Outcome::kFailed) << CheckName(failed);
  }
  for (const Check passed :
       {Check::kMissing, Check::kMalformed, Check::kAikType, Check::kAikScheme, Check::kSignatureScheme,
        Check::kSignatureInvalid, Check::kQuoteMagic, Check::kQuoteType, Check::kPcrSelection}) {
    EXPECT_EQ(report.checks.at(passed).outcome, Outcome::kPassed) << CheckName(passed);
  }
}

TEST(VerifierReport, OneStructureMalformedLeavesTheOthersJudged) {
  Forgery forgery;
  forgery.fields["signature_b64"] = "\"AAAA\"";
  const Report report = Verify(forgery.Json());
  EXPECT_EQ(CodeOf(report), "ATTESTATION_MALFORMED");
  EXPECT_EQ(report.checks.at(Check::kAikType).outcome, Outcome::kPassed);
  EXPECT_EQ(report.checks.at(Check::kNonceMismatch).outcome, Outcome::kPassed);
  EXPECT_EQ(report.checks.at(Check::kSignatureInvalid).outcome, Outcome::kNotRun);
}

// ---- a second engine ------------------------------------------------------------------------------------------------

class FixedEngine final : public SignatureEngine {
 public:
  explicit FixedEngine(Result<EngineVerdict> verdict) : verdict_(std::move(verdict)) {}
  Result<EngineVerdict> Verify(const SignedQuote&) override {
    ++calls;
    return verdict_;
  }
  int calls = 0;

 private:
  Result<EngineVerdict> verdict_;
};

std::string CodeWith(const Forgery& forgery, FixedEngine& engine, const char* policy_json = kPlainPolicy) {
  const Result<Policy> policy = ReadPolicy(policy_json);
  const Result<Report> report = VerifyAttestation(forgery.Json(), ExpectedNonce(), policy.value(), &engine);
  EXPECT_TRUE(report);
  EXPECT_EQ(report.value().engine, "esapi");
  return CodeOf(report.value());
}

TEST(VerifierEngine, MustNotContradict) {
  constexpr const char* kDemand = R"({"engine":"esapi"})";
  Forgery bad;
  bad.signing_key = test::KeyOf(Key::kRsa2048Other);
  FixedEngine valid(EngineVerdict::kValid), invalid(EngineVerdict::kInvalid), unsupported(EngineVerdict::kUnsupported);
  EXPECT_EQ(CodeWith(Forgery(), valid), "ok");
  EXPECT_EQ(CodeWith(Forgery(), invalid), "SIGNATURE_INVALID");
  EXPECT_EQ(CodeWith(bad, valid), "SIGNATURE_INVALID");
  EXPECT_EQ(CodeWith(bad, invalid), "SIGNATURE_INVALID");
  EXPECT_EQ(CodeWith(Forgery(), unsupported), "ok");
  EXPECT_EQ(CodeWith(Forgery(), unsupported, kDemand), "SIGNATURE_INVALID");
  EXPECT_EQ(CodeWith(Forgery(), valid, kDemand), "ok");
  EXPECT_EQ(CodeOf(Forgery(), kDemand), "SIGNATURE_INVALID") << "demanded, but none was given";
}

TEST(VerifierEngine, IsAskedOnlyAfterTheKeyAndSchemeHold) {
  FixedEngine engine(EngineVerdict::kValid);
  Forgery unrestricted, relabelled, weak(Key::kRsa1024);
  unrestricted.attributes &= ~test::kRestricted;
  relabelled.signature_scheme = test::kRsapss;
  EXPECT_EQ(CodeWith(unrestricted, engine), "AIK_ATTRIBUTES");
  EXPECT_EQ(CodeWith(relabelled, engine), "AIK_SCHEME");
  EXPECT_EQ(CodeWith(weak, engine), "AIK_TYPE");
  EXPECT_EQ(engine.calls, 0);
}

TEST(VerifierEngine, ThatCannotBeAskedIsAnErrorOfTheCall) {
  FixedEngine broken(Result<EngineVerdict>(Error{Code::kTpm, "gone"}));
  const Result<Policy> policy = ReadPolicy(kPlainPolicy);
  const Result<Report> report = VerifyAttestation(Forgery().Json(), ExpectedNonce(), policy.value(), &broken);
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().code, Code::kTpm);
}

}  // namespace
}  // namespace nomyo
