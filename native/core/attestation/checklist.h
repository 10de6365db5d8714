// Checklist: what became of each check of the verifier, in the order in which they decide; and the one table of checks.
#pragma once

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace nomyo {

// Check: docs/attestation.md says what each one demands; lib/attestation/report.ts lists the same names in this order.
enum class Check : std::size_t {
  kMissing,
  kMalformed,
  kAikType,
  kAikAttributes,
  kAikScheme,
  kSignatureScheme,
  kSignatureInvalid,
  kQuoteMagic,
  kQuoteType,
  kSignerName,
  kNonceMismatch,
  kPcrSelection,
  kPcrBank,
  kPcrDigest,
  kClock,
  kPcrBaseline,
  kAikCertificate,
  kEnd,  // no check: what stands behind the last one
};

// VerificationStep: what the verifier does, one after the other (verifier.cc). Not the order in which checks decide: a
// step comes when what it needs is there.
enum class VerificationStep : std::size_t {
  kBlock,
  kStructures,
  kKey,
  kSchemes,
  kQuoteHeader,
  kSigner,
  kNonce,
  kSelection,
  kDigest,
  kSignature,
  kBaseline,
  kCertificate,
  kEnd,  // no step: what stands behind the last one
};

struct CheckRow {
  Check check;
  std::string_view name;  // the stable code
  VerificationStep step;  // the one that can pass it
};

// kChecks is the one table: a check is a value of Check and a row here, and then it is counted, reported, and demanded
// by Checklist::Verified. A new one comes last; its step fails to compile until the verifier has it.
inline constexpr CheckRow kChecks[] = {
    {Check::kMissing, "ATTESTATION_MISSING", VerificationStep::kBlock},
    {Check::kMalformed, "ATTESTATION_MALFORMED", VerificationStep::kStructures},
    {Check::kAikType, "AIK_TYPE", VerificationStep::kKey},
    {Check::kAikAttributes, "AIK_ATTRIBUTES", VerificationStep::kKey},
    {Check::kAikScheme, "AIK_SCHEME", VerificationStep::kSchemes},
    {Check::kSignatureScheme, "SIGNATURE_SCHEME", VerificationStep::kSchemes},
    {Check::kSignatureInvalid, "SIGNATURE_INVALID", VerificationStep::kSignature},
    {Check::kQuoteMagic, "QUOTE_MAGIC", VerificationStep::kQuoteHeader},
    {Check::kQuoteType, "QUOTE_TYPE", VerificationStep::kQuoteHeader},
    {Check::kSignerName, "SIGNER_NAME", VerificationStep::kSigner},
    {Check::kNonceMismatch, "NONCE_MISMATCH", VerificationStep::kNonce},
    {Check::kPcrSelection, "PCR_SELECTION", VerificationStep::kSelection},
    {Check::kPcrBank, "PCR_BANK", VerificationStep::kSelection},
    {Check::kPcrDigest, "PCR_DIGEST", VerificationStep::kDigest},
    {Check::kClock, "CLOCK", VerificationStep::kSigner},
    {Check::kPcrBaseline, "PCR_BASELINE", VerificationStep::kBaseline},
    {Check::kAikCertificate, "AIK_CERTIFICATE", VerificationStep::kCertificate},
};
inline constexpr std::size_t kCheckCount = std::size(kChecks);

static_assert(kCheckCount == static_cast<std::size_t>(Check::kEnd), "each check has a row");
static_assert(
    [] {
      for (std::size_t i = 0; i < kCheckCount; ++i) {
        if (kChecks[i].check != static_cast<Check>(i) || kChecks[i].name.empty()) return false;
      }
      return true;
    }(),
    "the rows are in the order of Check, each with a name");
static_assert(
    [] {
      for (std::size_t i = 0; i < static_cast<std::size_t>(VerificationStep::kEnd); ++i) {
        if (std::ranges::none_of(kChecks, [i](const CheckRow& row) { return static_cast<std::size_t>(row.step) == i; }))
          return false;
      }
      return true;
    }(),
    "each step decides a check");

// CheckName returns the stable code, e.g. `PCR_DIGEST`. Any thread.
constexpr std::string_view CheckName(Check check) {
  return kChecks[static_cast<std::size_t>(check)].name;
}

enum class Outcome {
  kNotRun,         // one before it failed: there was nothing to check
  kNotApplicable,  // neither offered nor demanded
  kPassed,
  kFailed,
};

// Checklist starts with nothing run, so with nothing verified. A failure stays whatever comes after it. One thread at a
// time.
class Checklist {
 public:
  struct Entry {
    Outcome outcome = Outcome::kNotRun;
    std::string detail = "Not checked, because a check that it depends on failed.";
  };

  // `rows` (a test may have more) must outlive the list; they are in the order of their checks, from the first on.
  explicit Checklist(std::span<const CheckRow> rows = kChecks) : rows_(rows), entries_(rows.size()) {}

  void Pass(Check check, std::string detail) { Set(check, Outcome::kPassed, std::move(detail)); }
  void Fail(Check check, std::string detail) { Set(check, Outcome::kFailed, std::move(detail)); }
  void Skip(Check check, std::string detail) { Set(check, Outcome::kNotApplicable, std::move(detail)); }

  std::span<const CheckRow> rows() const { return rows_; }
  const Entry& at(Check check) const { return entries_.at(static_cast<std::size_t>(check)); }
  bool passed(Check check) const { return at(check).outcome == Outcome::kPassed; }

  // PassedThrough tells whether every check from the first to `last` passed or does not apply.
  bool PassedThrough(Check last) const;
  // Verified tells whether every check of the table passed or does not apply.
  bool Verified() const { return PassedThrough(rows_.back().check); }
  // Decisive returns the first check that failed; without one, the first that did not run; nothing when verified.
  std::optional<Check> Decisive() const;

 private:
  void Set(Check check, Outcome outcome, std::string detail);

  std::span<const CheckRow> rows_;
  std::vector<Entry> entries_;  // of each row
};

}  // namespace nomyo
