// Checklist: what became of each check of the verifier, in the order in which they decide.
#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

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
  kCount,  // stays last: everything that counts checks counts to here
};
inline constexpr std::size_t kCheckCount = static_cast<std::size_t>(Check::kCount);

// CheckName returns the stable code, e.g. `PCR_DIGEST`.
std::string_view CheckName(Check check);

enum class Outcome {
  kNotRun,         // one before it failed: there was nothing to check
  kNotApplicable,  // neither offered nor demanded
  kPassed,
  kFailed,
};

// Checklist starts with nothing run, so with nothing verified. A failure stays whatever comes after it.
class Checklist {
 public:
  struct Entry {
    Outcome outcome = Outcome::kNotRun;
    std::string detail = "Not checked, because a check that it depends on failed.";
  };

  void Pass(Check check, std::string detail) { Set(check, Outcome::kPassed, std::move(detail)); }
  void Fail(Check check, std::string detail) { Set(check, Outcome::kFailed, std::move(detail)); }
  void Skip(Check check, std::string detail) { Set(check, Outcome::kNotApplicable, std::move(detail)); }

  const Entry& at(Check check) const { return entries_[static_cast<std::size_t>(check)]; }
  bool passed(Check check) const { return at(check).outcome == Outcome::kPassed; }

  // PassedThrough tells whether every check from the first to `last` passed or does not apply.
  bool PassedThrough(Check last) const;
  // Verified tells whether every check passed or does not apply.
  bool Verified() const { return !Decisive(); }
  // Decisive returns the first check that failed; without one, the first that did not run; nothing when verified.
  std::optional<Check> Decisive() const;

 private:
  void Set(Check check, Outcome outcome, std::string detail);
  std::array<Entry, kCheckCount> entries_;
};

}  // namespace nomyo
