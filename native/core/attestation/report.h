// Report: the outcome of verifying a quote, as lib/attestation/report.ts describes it. The addon makes it a value
// (addon/report_value.h), TypeScript adds `policyId`, `verifiedAt` and `expiresAt`: the core has neither the policy's
// canonical form nor the caller's clock.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/attestation/checklist.h"
#include "core/attestation/pcr.h"
#include "core/attestation/policy.h"
#include "core/attestation/signature_engine.h"

namespace nomyo {

// A PCR that keeps a profile from fitting.
struct PcrDifference {
  std::uint16_t bank;
  unsigned index;
  PcrRule expected;
  std::optional<Bytes> found;  // nothing: the quote does not have this PCR
};

struct NearestProfile {
  std::string name;
  std::vector<PcrDifference> differences;
};

// One thread at a time.
struct Report {
  struct Aik {
    bool rsa;
    unsigned bits;
    std::string curve;
    std::string scheme;
    std::string name_hex;   // empty when nameAlg is not one that an AIK may have
    std::string hierarchy;  // `primary:<hierarchy>` or `child-or-unknown`
    std::string pem;
  };
  struct Quote {
    std::uint64_t clock;
    bool safe;
    // Only of endorsement and platform primaries: for other keys a TPM adds a number to them that differs per key.
    struct Counters {
      std::uint32_t reset;
      std::uint32_t restart;
      std::uint64_t firmware;
    };
    std::optional<Counters> counters;
    std::string qualifying_data_hex;
    std::string pcr_selection;
    std::string pcr_digest_hex;
  };

  Checklist checks;
  // certified tells whether a certificate vouches for the AIK, and nothing speaks against the block: so it is asked of
  // the checks, and never remembered from before the last of them.
  bool certified() const { return checks.passed(Check::kAikCertificate) && checks.Verified(); }
  std::string_view engine = "offline";
  std::optional<EngineVerdict> verdict;  // of `engine`; nothing when it was not asked
  // What the block claims about the key and the quote; to be believed only if the checks passed.
  std::optional<Aik> aik;
  std::optional<Quote> quote;
  // Filled only when every check up to PCR_DIGEST passed.
  std::optional<PcrValues> pcrs;
  std::optional<std::string> profile;
  // When no profile fits: the one that the fewest PCRs keep from fitting (the first of several), and those PCRs.
  std::optional<NearestProfile> nearest;
};

}  // namespace nomyo
