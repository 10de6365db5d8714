// Loops over the three structures of good blocks: every bit, every length, every size field, every algorithm field.
#include <gtest/gtest.h>

#include <functional>
#include <set>

#include "core/attestation/tpm_verify_engine.h"
#include "test/attestation/forge.h"
#include "test/attestation/judge.h"
#include "test/tpm/software_tpm.h"

namespace nomyo {
namespace {

using test::CodeOf;
using test::Forgery;
using test::Key;
using test::Packer;
using test::Verify;

// The structures of one block as they are sent. ECDSA signatures differ each time, so they are made once.
struct Sent {
  Bytes quote, signature, aik;
};

Sent Send(const Forgery& forgery) {
  return {forgery.sized_quote ? Packer().Sized(forgery.Quote()).bytes() : forgery.Quote(), forgery.Signature(),
          Packer().Sized(forgery.Public()).bytes()};
}

constexpr Bytes Sent::* kStructures[] = {&Sent::quote, &Sent::signature, &Sent::aik};

std::string CodeOfSent(const Forgery& forgery, const Sent& sent, const char* policy = test::kPlainPolicy) {
  return CodeOf(Verify(forgery.Json(sent.quote, sent.signature, sent.aik), policy));
}

Forgery Child(Key key, std::uint16_t scheme = 0) {
  Forgery forgery(key, scheme);
  forgery.qualified_signer = Packer().U16(test::kSha256).Raw(Bytes(32, 0xC1)).bytes();
  forgery.auth_policy = Bytes(32, 0x5A);
  return forgery;
}

const std::vector<std::pair<Key, std::uint16_t>> kKinds = {{Key::kRsa2048, test::kRsassa},
                                                           {Key::kRsa2048, test::kRsapss},
                                                           {Key::kP256, test::kEcdsa},
                                                           {Key::kP521, test::kEcdsa}};

// Offsets in TPM2B_PUBLIC: size 2, type 2, nameAlg 2, attributes 4, authPolicy (size 2, then 32 bytes here).
constexpr std::size_t kAttributesOffset = 6, kPolicyOffset = 12, kPolicyEnd = 44;

// A bit of the AIK that may be flipped without a failure when the AIK is a child: nothing signs its public area, and
// these bits do not matter. Everything else must fail.
bool IsFree(std::size_t byte, int bit) {
  if (byte >= kPolicyOffset && byte < kPolicyEnd) return true;
  if (byte < kAttributesOffset || byte >= kAttributesOffset + 4) return false;
  const std::size_t attribute = 8 * (kAttributesOffset + 3 - byte) + static_cast<std::size_t>(bit);
  constexpr std::size_t kStClearBit = 2, kUserWithAuthBit = 6, kAdminWithPolicyBit = 7, kNoDaBit = 10;
  return attribute == kStClearBit || attribute == kUserWithAuthBit || attribute == kAdminWithPolicyBit ||
         attribute == kNoDaBit;
}

TEST(AttestationMutation, EveryBitOfEveryStructure) {
  for (const auto& [key, scheme] : kKinds) {
    const Forgery forgery = Child(key, scheme);
    const Sent good = Send(forgery);
    ASSERT_EQ(CodeOfSent(forgery, good), "ok");
    for (const auto structure : kStructures) {
      for (std::size_t byte = 0; byte < (good.*structure).size(); ++byte) {
        for (int bit = 0; bit < 8; ++bit) {
          Sent flipped = good;
          (flipped.*structure)[byte] ^= static_cast<std::uint8_t>(1 << bit);
          const bool free = structure == &Sent::aik && IsFree(byte, bit);
          ASSERT_EQ(CodeOfSent(forgery, flipped) == "ok", free) << "byte " << byte << " bit " << bit;
        }
      }
    }
  }
}

// The name of a primary key is in the quote, so no bit at all is free when the policy wants one; without that demand
// the free bits turn the report's hierarchy into "child-or-unknown".
TEST(AttestationMutation, EveryBitOfAPrimaryAik) {
  for (const Key key : {Key::kRsa2048, Key::kP256}) {
    Forgery forgery(key);
    forgery.auth_policy = Bytes(32, 0x5A);
    const Sent good = Send(forgery);
    ASSERT_EQ(Verify(forgery.Json()).aik->hierarchy, "primary:endorsement");
    ASSERT_EQ(CodeOfSent(forgery, good, R"({"requirePrimary":true})"), "ok");
    for (std::size_t byte = 0; byte < good.aik.size(); ++byte) {
      for (int bit = 0; bit < 8; ++bit) {
        Sent flipped = good;
        flipped.aik[byte] ^= static_cast<std::uint8_t>(1 << bit);
        ASSERT_NE(CodeOfSent(forgery, flipped, R"({"requirePrimary":true})"), "ok") << byte << " " << bit;
        if (IsFree(byte, bit)) {
          const Report report = Verify(forgery.Json(flipped.quote, flipped.signature, flipped.aik));
          ASSERT_EQ(report.aik->hierarchy, "child-or-unknown");
          ASSERT_FALSE(report.quote->counters.has_value());
        }
      }
    }
  }
}

// A TPM says the same of every flipped bit of a signature.
TEST(AttestationMutation, EveryBitOfASignatureOnATpm) {
  const test::SoftwareTpm tpm;
  const auto connection = TpmConnection::Open(tpm.tcti());
  ASSERT_TRUE(connection) << connection.error().message;
  TpmVerifyEngine engine(*connection.value());
  const Forgery forgery = Child(Key::kP256);
  const Sent good = Send(forgery);
  for (std::size_t byte = 0; byte < good.signature.size(); ++byte) {
    for (int bit = 0; bit < 8; ++bit) {
      Bytes flipped = good.signature;
      flipped[byte] ^= static_cast<std::uint8_t>(1 << bit);
      const Report report =
          Verify(forgery.Json(good.quote, flipped, good.aik), test::kPlainPolicy, test::ExpectedNonce(), &engine);
      ASSERT_NE(CodeOf(report), "ok");
      ASSERT_NE(report.verdict, EngineVerdict::kValid) << byte << " " << bit;
    }
  }
}

TEST(AttestationMutation, EveryLength) {
  for (const bool sized : {false, true}) {
    for (const auto& [key, scheme] : kKinds) {
      Forgery forgery = Child(key, scheme);
      forgery.sized_quote = sized;
      const Sent good = Send(forgery);
      for (const auto structure : kStructures) {
        for (std::size_t size = 0; size < (good.*structure).size(); ++size) {
          Sent cut = good;
          (cut.*structure).resize(size);
          ASSERT_EQ(CodeOfSent(forgery, cut), size == 0 ? "ATTESTATION_MISSING" : "ATTESTATION_MALFORMED") << size;
        }
        for (const auto& [extra, code] : {std::pair{1, "ATTESTATION_MALFORMED"},
                                          {2, "ATTESTATION_MALFORMED"},
                                          {4, "ATTESTATION_MALFORMED"},
                                          {4096, "ATTESTATION_MISSING"}}) {
          for (const std::uint8_t filler : {0x00, 0xFF}) {
            Sent longer = good;
            (longer.*structure).insert((longer.*structure).end(), static_cast<std::size_t>(extra), filler);
            ASSERT_EQ(CodeOfSent(forgery, longer), code) << extra;
          }
        }
      }
    }
  }
}

// The longest structure that is looked at has 4 096 bytes; it is malformed, one byte more is as good as missing.
TEST(AttestationMutation, TheSizeLimitIsExact) {
  const Forgery forgery;
  const Sent good = Send(forgery);
  for (const auto structure : kStructures) {
    Sent longest = good;
    (longest.*structure).resize(4096);
    EXPECT_EQ(CodeOfSent(forgery, longest), "ATTESTATION_MALFORMED");
    (longest.*structure).resize(4097);
    EXPECT_EQ(CodeOfSent(forgery, longest), "ATTESTATION_MISSING");
  }
}

// SizeFields finds the 16-bit sizes of the TPM2Bs in a structure.
std::vector<std::size_t> SizeFields(const Forgery& forgery, Bytes Sent::* structure) {
  if (structure == &Sent::signature) {
    return forgery.type == test::kRsa ? std::vector<std::size_t>{4} : std::vector<std::size_t>{4, 6 + forgery.x.size()};
  }
  if (structure == &Sent::aik) {
    const std::size_t parameters = kPolicyOffset + forgery.auth_policy.size() + 6;     // symmetric, scheme and hash
    if (forgery.type == test::kRsa) return {0, kPolicyOffset - 2, parameters + 6};     // keyBits, exponent
    return {0, kPolicyOffset - 2, parameters + 4, parameters + 6 + forgery.x.size()};  // curve, kdf
  }
  const std::size_t start = forgery.sized_quote ? 2 : 0;
  const std::size_t nonce = start + 8 + forgery.qualified_signer->size();
  const std::size_t digest = nonce + 2 + forgery.nonce.size() + 25 + 4 + 6;
  std::vector<std::size_t> fields = {start + 6, nonce, digest};
  if (forgery.sized_quote) fields.push_back(0);
  return fields;
}

TEST(AttestationMutation, EverySizeField) {
  for (const bool sized : {false, true}) {
    for (const Key key : {Key::kRsa2048, Key::kP256}) {
      Forgery forgery = Child(key);
      forgery.sized_quote = sized;
      const Sent good = Send(forgery);
      for (const auto structure : kStructures) {
        for (const std::size_t field : SizeFields(forgery, structure)) {
          const Bytes& bytes = good.*structure;
          const unsigned size = static_cast<unsigned>(bytes[field] << 8 | bytes[field + 1]);
          ASSERT_GT(size, 0u);
          ASSERT_LE(field + 2 + size, bytes.size()) << "not a size field";
          for (const unsigned other : {size + 1, size - 1, 0u, 0xFFFFu, 0x8000u, size | 0x100u}) {
            if (other == size) continue;
            Sent changed = good;
            (changed.*structure)[field] = static_cast<std::uint8_t>(other >> 8);
            (changed.*structure)[field + 1] = static_cast<std::uint8_t>(other);
            ASSERT_EQ(CodeOfSent(forgery, changed), "ATTESTATION_MALFORMED") << "at " << field << ": " << other;
          }
        }
      }
    }
  }
}

TEST(AttestationMutation, SizedTwiceOrUnsized) {
  const Forgery forgery;
  const Sent good = Send(forgery);
  Sent quote = good, signature = good, aik = good, bare_aik = good;
  quote.quote = Packer().Sized(Packer().Sized(good.quote).bytes()).bytes();
  signature.signature = Packer().Sized(good.signature).bytes();
  aik.aik = Packer().Sized(good.aik).bytes();
  bare_aik.aik.erase(bare_aik.aik.begin(), bare_aik.aik.begin() + 2);
  for (const Sent& sent : {quote, signature, aik, bare_aik}) {
    EXPECT_EQ(CodeOfSent(forgery, sent), "ATTESTATION_MALFORMED");
  }
}

struct AlgorithmField {
  const char* name;
  Key key;
  std::function<void(Forgery&, std::uint16_t)> set;
  const char* code;
};

TEST(AttestationMutation, UnknownAlgorithmInEveryField) {
  const auto at = [](std::size_t offset) {
    return [offset](Bytes& bytes, std::uint16_t id) {
      bytes[offset] = static_cast<std::uint8_t>(id >> 8);
      bytes[offset + 1] = static_cast<std::uint8_t>(id);
    };
  };
  const auto edit_public = [&](std::size_t offset) {
    return [=](Forgery& f, std::uint16_t id) { f.edit_public = [=](Bytes& b) { at(offset)(b, id); }; };
  };
  // TPMT_PUBLIC: type 0, nameAlg 2, attributes 4, authPolicy 8, symmetric 10, scheme 12, its hash 14, keyBits or curve
  // 16, kdf 18.
  const AlgorithmField fields[] = {
      {"type", Key::kRsa2048, edit_public(0), "ATTESTATION_MALFORMED"},
      {"nameAlg", Key::kRsa2048, [](Forgery& f, std::uint16_t id) { f.name_algorithm = id; }, "AIK_ATTRIBUTES"},
      {"symmetric", Key::kRsa2048, edit_public(10), "ATTESTATION_MALFORMED"},
      {"scheme", Key::kRsa2048, edit_public(12), "ATTESTATION_MALFORMED"},
      {"scheme's hash", Key::kRsa2048, edit_public(14), "AIK_SCHEME"},
      {"ECC symmetric", Key::kP256, edit_public(10), "ATTESTATION_MALFORMED"},
      {"ECC scheme", Key::kP256, edit_public(12), "ATTESTATION_MALFORMED"},
      {"ECC scheme's hash", Key::kP256, edit_public(14), "AIK_SCHEME"},
      {"curve", Key::kP256, edit_public(16), "AIK_TYPE"},
      {"kdf", Key::kP256, edit_public(18), "ATTESTATION_MALFORMED"},
      {"signature's scheme", Key::kRsa2048,
       [&](Forgery& f, std::uint16_t id) { f.edit_signature = [=](Bytes& b) { at(0)(b, id); }; },
       "ATTESTATION_MALFORMED"},
      {"signature's hash", Key::kRsa2048,
       [&](Forgery& f, std::uint16_t id) { f.edit_signature = [=](Bytes& b) { at(2)(b, id); }; }, "AIK_SCHEME"},
      {"signature's and key's hash", Key::kRsa2048,
       [](Forgery& f, std::uint16_t id) { f.key_hash = f.signature_hash = id; }, "AIK_SCHEME"},
      {"signer's hash", Key::kRsa2048,
       [](Forgery& f, std::uint16_t id) { f.qualified_signer = Packer().U16(id).Raw(Bytes(32)).bytes(); },
       "SIGNER_NAME"},
      {"bank", Key::kRsa2048,
       [](Forgery& f, std::uint16_t id) {
         f.pcr_digest = test::HashOf(test::kSha256, f.SelectedValues());
         f.selection[0].first = id;
       },
       "PCR_SELECTION"},
  };
  for (const AlgorithmField& field : fields) {
    for (const std::uint16_t id : {0x1234, 0xDEAD}) {
      Forgery forgery(field.key);
      field.set(forgery, id);
      EXPECT_EQ(CodeOf(forgery), field.code) << field.name;
    }
  }
}

}  // namespace
}  // namespace nomyo
