#include "core/attestation/verifier.h"

#include <algorithm>
#include <memory>
#include <new>
#include <string>

#include "core/attestation/aik.h"
#include "core/attestation/aik_certificate.h"
#include "core/attestation/block.h"
#include "core/attestation/known_aik.h"
#include "core/attestation/offline_engine.h"
#include "core/memory/openssl_memory.h"
#include "core/tpm/structures.h"
#include "core/tpm/tss_mu.h"

namespace nomyo {
namespace {

constexpr unsigned kImaPcr = 10;

// Verification is one run over one block. Each method decides one check, or a few that belong together, from what those
// before it found; what is missing leaves its check not run, and so the block not verified.
// A method's Status fails only for causes that are not the block's.
class Verification {
 public:
  Verification(ByteView expected, const Policy& policy, SignatureEngine* engine)
      : expected_(expected), policy_(policy), engine_(engine) {}

  // Run gives no report only if `only_quick` and the block's key takes longer.
  Result<std::optional<Report>> Run(std::string_view json, bool only_quick) {
    for (std::size_t i = 0; i < static_cast<std::size_t>(VerificationStep::kEnd); ++i) {
      const auto step = static_cast<VerificationStep>(i);
      if (Status status = Do(step, json); !status) return status.error();
      if (step == VerificationStep::kBlock && only_quick && !HasQuickKey()) return std::optional<Report>();
    }
    return std::optional<Report>(std::move(report_));
  }

 private:
  Checklist& checks() { return report_.checks; }

  bool HasQuickKey() const {
    const auto kept = block_.aik ? FindKeptAik(*block_.aik) : nullptr;
    return kept != nullptr && kept->IsQuick();
  }

  // No default: a step that the table of checks names and this does not do is a compiler's warning, and so an error.
  Status Do(VerificationStep step, std::string_view json) {
    switch (step) {
      case VerificationStep::kBlock: block_ = ReadBlock(json, checks()); return Status::Ok();
      case VerificationStep::kStructures: return ReadStructures();
      case VerificationStep::kKey: return CheckKey();
      case VerificationStep::kSchemes: return CheckSchemes();
      case VerificationStep::kQuoteHeader: return CheckQuoteHeader();
      case VerificationStep::kSigner: return CheckSigner();
      case VerificationStep::kNonce: return CheckNonce();
      case VerificationStep::kSelection: return CheckSelection();
      case VerificationStep::kDigest: return CheckDigest();
      case VerificationStep::kSignature: return CheckSignature();
      case VerificationStep::kBaseline: return CheckBaseline();
      case VerificationStep::kCertificate: return CheckCertificate();
      case VerificationStep::kEnd: break;
    }
    return Error{Code::kCrypto, "The verifier has no such step."};
  }

  // Judge records a sub-check's outcome; errors that are not about the block go to the caller.
  Status Judge(Check check, const Status& status, const char* passed) {
    if (status) {
      checks().Pass(check, passed);
    } else if (status.error().code == Code::kInvalidArgument) {
      checks().Fail(check, status.error().message);
    } else {
      return status;
    }
    return Status::Ok();
  }

  Status ReadStructures() {
    if (!block_.quote && !block_.signature && !block_.aik) return Status::Ok();
    Result<const TssMu*> mu = TssMu::Load();
    if (!mu) return mu.error();
    const auto read = [&](auto reader, const std::optional<Bytes>& bytes, auto& out) {
      if (!bytes) return;
      auto result = reader(**mu, *bytes);
      if (result) {
        out = std::move(*result);
      } else {
        checks().Fail(Check::kMalformed, result.error().message);
      }
    };
    read(ReadQuote, block_.quote, quote_);
    read(ReadSignature, block_.signature, signature_);
    if (block_.aik) {
      auto aik = ReadAik(**mu, *block_.aik);
      if (aik) {
        aik_ = std::move(*aik);
      } else if (Status status = Judge(Check::kMalformed, aik.error(), ""); !status) {
        return status;
      }
    }
    if (quote_ && signature_ && aik_ && block_.selection && block_.values) {
      checks().Pass(Check::kMalformed, "All fields and structures are well formed.");
    }
    return Status::Ok();
  }

  // AIK_TYPE and AIK_ATTRIBUTES.
  Status CheckKey() {
    if (!aik_) return Status::Ok();
    const std::optional<AikKey>& key = aik_->key;
    Status type = aik_->type;
    if (key && key->rsa && key->bits < policy_.min_rsa_bits) {
      type = Error{Code::kInvalidArgument, "The AIK's RSA modulus has " + std::to_string(key->bits) +
                                               " bits, the policy wants " + std::to_string(policy_.min_rsa_bits) + "."};
    }
    if (Status status = Judge(Check::kAikType, type, "The AIK is a sound public key."); !status) return status;
    if (key) {
      const AikScheme scheme = AikSchemeOf(Area());
      // By their names, here and below: strings that change places would compile.
      report_.aik = Report::Aik{.rsa = key->rsa,
                                .bits = key->bits,
                                .curve = std::string(key->curve),
                                .scheme = SchemeName(scheme.scheme, scheme.hash),
                                .name_hex = {},
                                .hierarchy = "child-or-unknown",
                                .pem = aik_->pem};
    }
    return Judge(Check::kAikAttributes, CheckAikAttributes(Area()),
                 "The AIK is a restricted signing key that cannot leave its TPM.");
  }

  // The AIK's public area, and its key in our libcrypto; only with an AIK.
  const TPMT_PUBLIC& Area() const { return aik_->area.area; }
  const AikKey* Key() const { return aik_ != nullptr && aik_->key ? &*aik_->key : nullptr; }

  // AIK_SCHEME and SIGNATURE_SCHEME. Neither depends on the other: the key's own scheme is what its TPM signs with.
  Status CheckSchemes() {
    if (!signature_) return Status::Ok();
    const TPM2_ALG_ID scheme = signature_->sigAlg;
    // For each scheme the hash comes first; a NULL signature has none, and unmarshalling left zeros.
    const TPM2_ALG_ID hash = signature_->signature.any.hashAlg;
    if (aik_) {
      const AikScheme of_key = AikSchemeOf(Area());
      const std::string both = "The AIK's signing scheme is " + SchemeName(of_key.scheme, of_key.hash) +
                               ", the signature's " + SchemeName(scheme, hash);
      if (of_key.scheme == TPM2_ALG_NULL) {
        checks().Fail(Check::kAikScheme, both + ": whoever uses a key without a scheme may choose one. Make the AIK " +
                                             "with RSASSA, RSAPSS or ECDSA and SHA-256, SHA-384 or SHA-512.");
      } else if (!IsSignatureHash(of_key.hash)) {
        checks().Fail(Check::kAikScheme, both + ": make the AIK with SHA-256, SHA-384 or SHA-512.");
      } else if (of_key.scheme != scheme || of_key.hash != hash) {
        checks().Fail(Check::kAikScheme, both + ": a TPM signs with the scheme of a restricted key only.");
      } else {
        checks().Pass(Check::kAikScheme, both + ".");
      }
    }
    const bool rsa = scheme == TPM2_ALG_RSASSA || scheme == TPM2_ALG_RSAPSS;
    if ((!rsa && scheme != TPM2_ALG_ECDSA) || !IsSignatureHash(hash)) {
      checks().Fail(Check::kSignatureScheme, "The signature's scheme (" + SchemeName(scheme, hash) +
                                                 ") is not RSASSA, RSAPSS or ECDSA with SHA-256, SHA-384 or SHA-512.");
    } else if (!policy_.schemes.contains(scheme) || !policy_.hashes.contains(hash)) {
      checks().Fail(Check::kSignatureScheme,
                    "The policy does not allow the signature's scheme, " + SchemeName(scheme, hash) + ".");
    } else if (Key() != nullptr && Key()->rsa != rsa) {
      checks().Fail(Check::kSignatureScheme, "The signature's scheme does not fit the AIK's kind of key.");
    } else if (Key() != nullptr) {
      checks().Pass(Check::kSignatureScheme, "The signature's scheme is allowed.");
    }
    return Status::Ok();
  }

  // QUOTE_MAGIC and QUOTE_TYPE, from the raw bytes.
  Status CheckQuoteHeader() {
    if (!quote_) return Status::Ok();
    if (quote_->has_magic()) {
      checks().Pass(Check::kQuoteMagic, "The signed structure was made inside a TPM, if the AIK is restricted.");
    } else {
      checks().Fail(Check::kQuoteMagic,
                    "The signed structure starts with 0x" + HexOf(quote_->magic, 4) +
                        " and not with TPM_GENERATED_VALUE (0xff544347): it was made outside a TPM.");
    }
    if (quote_->is_quote()) {
      checks().Pass(Check::kQuoteType, "The signed structure is a quote.");
    } else {
      checks().Fail(Check::kQuoteType, "The signed structure is a statement of the type 0x" + HexOf(quote_->type, 2) +
                                           ", not a quote (TPM_ST_ATTEST_QUOTE, 0x8018).");
    }
    return Status::Ok();
  }

  static std::string HexOf(std::uint32_t value, int size) {
    Bytes bytes;
    for (int i = size - 1; i >= 0; --i) bytes.push_back(static_cast<std::uint8_t>(value >> (8 * i)));
    return ToHex(bytes);
  }

  // SIGNER_NAME and, since both speak of the signer, CLOCK.
  Status CheckSigner() {
    if (!quote_ || !quote_->is_quote()) return Status::Ok();
    const TPMS_ATTEST& attest = quote_->attest;
    report_.quote = Report::Quote{
        .clock = attest.clockInfo.clock,
        .safe = attest.clockInfo.safe == 1,
        .counters = {},
        .qualifying_data_hex = ToHex({attest.extraData.buffer, attest.extraData.size}),
        .pcr_selection = {},
        .pcr_digest_hex = ToHex({attest.attested.quote.pcrDigest.buffer, attest.attested.quote.pcrDigest.size})};
    checks().Pass(Check::kClock, attest.clockInfo.safe == 1
                                     ? "The TPM's clock is safe: it never showed this time before."
                                     : "The TPM's clock is not safe: it may have shown later times before.");
    // Without a name algorithm that is accepted there is no name to compare with.
    if (!aik_ || aik_->name.empty()) return Status::Ok();

    const ByteView qualified(attest.qualifiedSigner.name, attest.qualifiedSigner.size);
    const HashAlgorithm* hash =
        qualified.size() < 2 ? nullptr : HashById(static_cast<std::uint16_t>(qualified[0] << 8 | qualified[1]));
    if (report_.aik) report_.aik->name_hex = ToHex(aik_->name);
    if (hash == nullptr || qualified.size() != 2 + hash->size || hash->id != Area().nameAlg) {
      checks().Fail(Check::kSignerName, "The quote's signer is not named by the AIK's name algorithm and its digest.");
      return Status::Ok();
    }
    Result<std::string_view> hierarchy = PrimaryHierarchy(aik_->name, qualified);
    if (!hierarchy) return hierarchy.error();
    const std::string place = hierarchy->empty() ? "child-or-unknown" : "primary:" + std::string(*hierarchy);
    if (report_.aik) report_.aik->hierarchy = place;
    if (!hierarchy->empty()) {
      checks().Pass(Check::kSignerName,
                    "The quote names the AIK as a primary key of the hierarchy " + std::string(*hierarchy) + ".");
    } else if (policy_.require_primary) {
      checks().Fail(Check::kSignerName,
                    "The policy wants a primary key, and the quote's signer is not the AIK as a primary key.");
    } else {
      checks().Pass(Check::kSignerName, "The quote's signer has a name; the AIK is no primary key, or not that one.");
    }
    if (*hierarchy == "endorsement" || *hierarchy == "platform") {
      report_.quote->counters = {attest.clockInfo.resetCount, attest.clockInfo.restartCount, attest.firmwareVersion};
    }
    return Status::Ok();
  }

  Status CheckNonce() {
    if (!quote_ || !quote_->is_quote()) return Status::Ok();
    const TPM2B_DATA& nonce = quote_->attest.extraData;
    if (!expected_.empty() && EqualBytes({nonce.buffer, nonce.size}, expected_)) {
      checks().Pass(Check::kNonceMismatch, "The quote was made for the expected qualifying data.");
    } else if (expected_.empty()) {
      checks().Fail(Check::kNonceMismatch, "No qualifying data was given for the quote to be compared with.");
    } else if (nonce.size == 0) {
      checks().Fail(Check::kNonceMismatch, "The quote was made without qualifying data, where " + Described(expected_) +
                                               " was expected: it answers no request, and may be an old one.");
    } else {
      checks().Fail(Check::kNonceMismatch,
                    "The quote was made for other qualifying data, " + Described({nonce.buffer, nonce.size}) +
                        ", where " + Described(expected_) + " was expected: it is not the answer to this request.");
    }
    return Status::Ok();
  }

  // Described writes bytes for a person: enough to know them again, and how many there are.
  static std::string Described(ByteView bytes) {
    constexpr std::size_t kShown = 16;
    const bool all = bytes.size() <= kShown;
    return ToHex(bytes.first(all ? bytes.size() : kShown)) + (all ? " (" : "… (") + std::to_string(bytes.size()) +
           (bytes.size() == 1 ? " byte)" : " bytes)");
  }

  // PCR_SELECTION and PCR_BANK.
  Status CheckSelection() {
    if (!quote_ || !quote_->is_quote()) return Status::Ok();
    Result<OrderedPcrSelection> read = ReadSignedSelection(quote_->attest.attested.quote.pcrSelect);
    if (!read) {
      checks().Fail(Check::kPcrSelection, read.error().message);
      return Status::Ok();
    }
    selection_ = std::move(*read);
    report_.quote->pcr_selection = PcrText(*selection_);
    const PcrSelection signed_set(selection_->begin(), selection_->end());
    if (block_.selection && block_.values) {
      if (*block_.selection != signed_set) {
        checks().Fail(Check::kPcrSelection, "The quote selects " + PcrText(signed_set) + ", pcr_banks names " +
                                                PcrText(*block_.selection) + ".");
      } else if (SelectionOf(*block_.values) != signed_set) {
        checks().Fail(Check::kPcrSelection, "The quote selects " + PcrText(signed_set) + ", pcr_values holds " +
                                                PcrText(SelectionOf(*block_.values)) + ".");
      } else if (!Covers(signed_set, policy_.required)) {
        checks().Fail(Check::kPcrSelection, "The policy wants " + PcrText(policy_.required) +
                                                ", the quote selects only " + PcrText(signed_set) + ".");
      } else {
        checks().Pass(Check::kPcrSelection, "The quote selects what the block shows: " + PcrText(signed_set) + ".");
      }
    }
    const auto foreign =
        std::ranges::find_if(*selection_, [&](const auto& bank) { return !policy_.banks.contains(bank.first); });
    if (foreign == selection_->end()) {
      checks().Pass(Check::kPcrBank, "The policy allows the quote's PCR banks.");
    } else {
      checks().Fail(Check::kPcrBank, "The policy does not allow the PCR bank " + HashName(foreign->first) +
                                         " that the quote covers (it allows " + Names(policy_.banks) +
                                         "). Have the server quote allowed banks only.");
    }
    return Status::Ok();
  }

  static std::string Names(const std::set<std::uint16_t>& banks) {
    std::string text;
    for (const std::uint16_t bank : banks) text += (text.empty() ? "" : ", ") + HashName(bank);
    return text;
  }

  // PCR_DIGEST: Part 3 18.4. The hash is that of the signing scheme, the order of banks the quote's own.
  Status CheckDigest() {
    const HashAlgorithm* hash = signature_ ? HashById(signature_->signature.any.hashAlg) : nullptr;
    if (hash == nullptr || !selection_ || !block_.values) return Status::Ok();
    Bytes values;
    for (const auto& [bank, mask] : *selection_) {
      const auto pcrs = block_.values->find(bank);
      for (unsigned index = 0; index < kPcrCount; ++index) {
        if ((mask >> index & 1) == 0) continue;
        if (pcrs == block_.values->end() || !pcrs->second.contains(index)) return Status::Ok();
        const Bytes& value = pcrs->second.at(index);
        values.insert(values.end(), value.begin(), value.end());
      }
    }
    Result<Bytes> digest = Digest(*hash, {values});
    if (!digest) return digest.error();
    const TPM2B_DIGEST& quoted = quote_->attest.attested.quote.pcrDigest;
    if (EqualBytes(*digest, {quoted.buffer, quoted.size})) {
      checks().Pass(Check::kPcrDigest, "The PCR values are those that the TPM signed.");
      return Status::Ok();
    }
    std::string detail = "The PCR values are not those that the TPM signed.";
    const bool has_ima =
        std::ranges::any_of(*selection_, [](const auto& bank) { return (bank.second >> kImaPcr & 1) != 0; });
    if (has_ima) {
      detail +=
          " PCR 10 is among them: an honest server can hit this when IMA measures a file between quote and read; a new "
          "request settles it.";
    }
    checks().Fail(Check::kPcrDigest, std::move(detail));
    return Status::Ok();
  }

  // SIGNATURE_INVALID, after all that needs no engine: an engine accepts weak keys and schemes, TPMs above all.
  Status CheckSignature() {
    if (engine_ != nullptr) report_.engine = "esapi";
    if (!quote_ || !signature_ || Key() == nullptr || !checks().passed(Check::kSignatureScheme)) return Status::Ok();
    const SignedQuote signed_quote{.public_area = aik_->area.bytes,
                                   .aik = Area(),
                                   .key = Key()->key.get(),
                                   .message = quote_->bytes,
                                   .signature = *signature_,
                                   .prepared = Prepared()};
    Result<EngineVerdict> offline = OfflineEngine().Verify(signed_quote);
    if (!offline) return offline.error();
    if (*offline == EngineVerdict::kValid) {
      KeepAik(aik_);
    } else {
      checks().Fail(Check::kSignatureInvalid, "The signature is not the AIK's over this quote.");
    }
    if (engine_ == nullptr) {
      report_.verdict = *offline;
    } else if (checks().passed(Check::kAikType) && checks().passed(Check::kAikAttributes) &&
               checks().passed(Check::kAikScheme)) {
      Result<EngineVerdict> second = engine_->Verify(signed_quote);
      if (!second) return second.error();
      report_.verdict = *second;
      if (*second == EngineVerdict::kInvalid) {
        checks().Fail(Check::kSignatureInvalid, "The TPM that was asked does not accept the signature.");
      } else if (*second == EngineVerdict::kValid && *offline != EngineVerdict::kValid) {
        checks().Fail(Check::kSignatureInvalid, "OpenSSL does not accept the signature, the TPM that was asked does.");
      }
    }
    if (policy_.require_tpm_engine && (engine_ == nullptr || report_.verdict != EngineVerdict::kValid)) {
      checks().Fail(Check::kSignatureInvalid,
                    "The policy wants the signature checked by a TPM too, and none said yes.");
    }
    checks().Pass(Check::kSignatureInvalid, "The AIK signed this quote.");
    return Status::Ok();
  }

  // Only what was prepared for this very scheme: a signature of another one is judged as what it says it is.
  const EVP_PKEY_CTX* Prepared() const {
    const bool is_own =
        signature_->sigAlg == aik_->scheme.scheme && signature_->signature.any.hashAlg == aik_->scheme.hash;
    return is_own ? aik_->check.get() : nullptr;
  }

  // PCR_BASELINE judges verified values only; those that are not are worth no comparison.
  Status CheckBaseline() {
    if (!checks().PassedThrough(Check::kPcrDigest)) return Status::Ok();
    report_.pcrs = std::move(block_.values);
    if (policy_.profiles.empty()) {
      checks().Skip(Check::kPcrBaseline, "The policy names no profiles, so the values were not compared.");
      return Status::Ok();
    }
    for (const Profile& profile : policy_.profiles) {
      std::vector<PcrDifference> differences = Differences(profile, *report_.pcrs);
      if (differences.empty()) {
        report_.nearest.reset();
        report_.profile = profile.name;
        checks().Pass(Check::kPcrBaseline, "The PCR values fit the profile \"" + profile.name + "\".");
        return Status::Ok();
      }
      if (!report_.nearest || differences.size() < report_.nearest->differences.size()) {
        report_.nearest = NearestProfile{profile.name, std::move(differences)};
      }
    }
    // The values are in the report: 64 hex digits and more each would bury what the sentence says.
    PcrSelection differing;
    for (const PcrDifference& difference : report_.nearest->differences)
      differing[difference.bank] |= 1U << difference.index;
    checks().Fail(Check::kPcrBaseline, "The PCR values fit no profile of the policy. The nearest, \"" +
                                           report_.nearest->name + "\", expects another value of " +
                                           PcrText(differing) + "; the report has what it expects and what was found.");
    return Status::Ok();
  }

  static std::vector<PcrDifference> Differences(const Profile& profile, const PcrValues& values) {
    std::vector<PcrDifference> differences;
    for (const auto& [bank, rules] : profile.pcrs) {
      const auto found_bank = values.find(bank);
      for (const auto& [index, rule] : rules) {
        std::optional<Bytes> found;
        if (found_bank != values.end()) {
          const auto value = found_bank->second.find(index);
          if (value != found_bank->second.end()) found = value->second;
        }
        if (!found || !Accepts(rule, *found)) differences.push_back({bank, index, rule, std::move(found)});
      }
    }
    return differences;
  }

  static bool Accepts(const PcrRule& rule, const Bytes& value) {
    if (!rule.any) return std::ranges::find(rule.values, value) != rule.values.end();
    const auto all = [&](std::uint8_t byte) { return std::ranges::count(value, byte) == std::ssize(value); };
    return !all(0x00) && !all(0xFF);
  }

  Status CheckCertificate() {
    if (policy_.aik_roots.empty()) {
      // A chain that nothing is to be checked against adds no trust, and takes none away.
      checks().Skip(Check::kAikCertificate,
                    block_.has_chain ? "The AIK came with a chain; the policy names no root certificate to check it by."
                                     : "The AIK came without a certificate: any software can make one.");
      return Status::Ok();
    }
    if (!block_.has_chain) {
      checks().Fail(Check::kAikCertificate,
                    "The policy names root certificates, and the AIK came without a certificate.");
    } else if (block_.chain && Key() != nullptr) {
      const Status status = VerifyAikCertificate(*block_.chain, policy_.aik_roots, Key()->key.get(), policy_.at);
      return Judge(Check::kAikCertificate, status,
                   "The AIK's certificate leads to a root of the policy; an answer may still be relayed.");
    }
    return Status::Ok();
  }

  ByteView expected_;
  const Policy& policy_;
  SignatureEngine* engine_;
  Report report_;
  Block block_;
  std::optional<QuoteStructure> quote_;
  std::optional<TPMT_SIGNATURE> signature_;
  std::shared_ptr<const KnownAik> aik_;
  std::optional<OrderedPcrSelection> selection_;
};

}  // namespace

namespace {

Result<std::optional<Report>> Verify(std::string_view block, ByteView qualifying_data, const Policy& policy,
                                     SignatureEngine* engine, bool only_quick) {
  // A quote and what it is checked by are public: ordinary memory does, and is quicker.
  const OrdinaryOpenSslMemory ordinary;
  try {
    return Verification(qualifying_data, policy, engine).Run(block, only_quick);
  } catch (const std::bad_alloc&) {
    return OutOfMemory();
  }
}

}  // namespace

Result<Report> VerifyAttestation(std::string_view block, ByteView qualifying_data, const Policy& policy,
                                 SignatureEngine* engine) {
  auto report = Verify(block, qualifying_data, policy, engine, false);
  if (!report) return report.error();
  return std::move(*report.value());
}

Result<std::optional<Report>> VerifyIfQuick(std::string_view block, ByteView qualifying_data, const Policy& policy) {
  if (block.size() > kMostQuickBytes || !policy.aik_roots.empty()) return std::optional<Report>();
  return Verify(block, qualifying_data, policy, nullptr, true);
}

}  // namespace nomyo
