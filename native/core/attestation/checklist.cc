#include "core/attestation/checklist.h"

#include <utility>

namespace nomyo {
namespace {

constexpr std::array<std::string_view, kCheckCount> kNames = {
    "ATTESTATION_MISSING", "ATTESTATION_MALFORMED", "AIK_TYPE",    "AIK_ATTRIBUTES", "AIK_SCHEME",
    "SIGNATURE_SCHEME",    "SIGNATURE_INVALID",     "QUOTE_MAGIC", "QUOTE_TYPE",     "SIGNER_NAME",
    "NONCE_MISMATCH",      "PCR_SELECTION",         "PCR_BANK",    "PCR_DIGEST",     "CLOCK",
    "PCR_BASELINE",        "AIK_CERTIFICATE",
};
static_assert(!kNames.back().empty(), "each check has a name");

}  // namespace

std::string_view CheckName(Check check) {
  return kNames[static_cast<std::size_t>(check)];
}

void Checklist::Set(Check check, Outcome outcome, std::string detail) {
  Entry& entry = entries_[static_cast<std::size_t>(check)];
  if (entry.outcome == Outcome::kFailed) return;
  entry = {outcome, std::move(detail)};
}

bool Checklist::PassedThrough(Check last) const {
  for (std::size_t i = 0; i <= static_cast<std::size_t>(last); ++i) {
    if (entries_[i].outcome != Outcome::kPassed && entries_[i].outcome != Outcome::kNotApplicable) return false;
  }
  return true;
}

std::optional<Check> Checklist::Decisive() const {
  for (const Outcome wanted : {Outcome::kFailed, Outcome::kNotRun}) {
    for (std::size_t i = 0; i < kCheckCount; ++i) {
      if (entries_[i].outcome == wanted) return static_cast<Check>(i);
    }
  }
  return std::nullopt;
}

}  // namespace nomyo
