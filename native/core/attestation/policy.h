// Policy: what the verifier demands beyond what it always demands; read from the JSON of a policy file.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "core/attestation/pcr.h"
#include "core/crypto/openssl_types.h"
#include "core/result.h"
#include "core/tpm/hash_algorithm.h"

namespace nomyo {

// PcrRule accepts one of `values`, or with `any` whatever is neither all zeros nor all ones (a PCR that measured boot,
// or IMA, never touched).
struct PcrRule {
  bool any = false;
  std::vector<Bytes> values;
};

// Profile fits when all its PCRs do: one machine's firmware beside another's Secure Boot state must not.
struct Profile {
  std::string name;
  std::map<std::uint16_t, std::map<unsigned, PcrRule>> pcrs;
};

struct Policy {
  std::set<std::uint16_t> schemes;  // TPM_ALG_ID
  std::set<std::uint16_t> hashes;
  unsigned min_rsa_bits = 2048;
  std::set<std::uint16_t> banks;
  PcrSelection required;
  std::vector<Profile> profiles;
  bool require_primary = false;
  bool require_tpm_engine = false;
  std::vector<X509Certificate> aik_roots;  // not empty: every AIK must be certified
  // Unix seconds at which certificates must be valid; without it, now. Not of the policy's JSON: whoever verifies a
  // quote long after it came says when that was.
  std::optional<std::int64_t> at;
};

// ReadPolicy takes the JSON of a policy that lib/attestation has checked against the schema; the core checks again what
// it reads, and refuses keys that it does not know, since a demand that is not understood must not be passed over.
// `version`, `mode`, `preflight`, `maxAgeMs` and `binding` are the client's business and are not read. What is absent
// is as lenient as the verifier gets: all schemes, SHA-256 to -512, RSA-2048, all banks but SHA-1. Errors:
// kInvalidArgument, kTooLarge. Any thread.
Result<Policy> ReadPolicy(std::string_view json);

}  // namespace nomyo
