#include "core/attestation/checklist.h"

#include <utility>

namespace nomyo {

void Checklist::Set(Check check, Outcome outcome, std::string detail) {
  Entry& entry = entries_.at(static_cast<std::size_t>(check));
  if (entry.outcome == Outcome::kFailed) return;
  entry = {outcome, std::move(detail)};
}

bool Checklist::PassedThrough(Check last) const {
  for (std::size_t i = 0; i <= static_cast<std::size_t>(last); ++i) {
    const Outcome outcome = entries_.at(i).outcome;
    if (outcome != Outcome::kPassed && outcome != Outcome::kNotApplicable) return false;
  }
  return true;
}

std::optional<Check> Checklist::Decisive() const {
  for (const Outcome wanted : {Outcome::kFailed, Outcome::kNotRun}) {
    for (std::size_t i = 0; i < entries_.size(); ++i) {
      if (entries_[i].outcome == wanted) return rows_[i].check;
    }
  }
  return std::nullopt;
}

}  // namespace nomyo
