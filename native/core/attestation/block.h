// Block: `tpm_attestation` as a server sent it, taken apart; whatever it is, each part is read that can be.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "core/attestation/checklist.h"
#include "core/attestation/pcr.h"
#include "core/tpm/hash_algorithm.h"

namespace nomyo {

// Largest structure, decoded (4 KiB: an RSA-4096 quote of 16 banks needs under 1 KiB).
inline constexpr std::size_t kMaxStructureBytes = 4096;
// Largest block, as JSON text: three structures, 16 banks of 24 PCRs, and a chain of kMaxCertificates.
inline constexpr std::size_t kMaxBlockBytes = std::size_t{256} * 1024;
inline constexpr std::size_t kMaxCertificates = 8;

struct Block {
  std::optional<Bytes> quote;             // quote_b64, decoded
  std::optional<Bytes> signature;         // signature_b64
  std::optional<Bytes> aik;               // aik_pubkey_b64
  std::optional<PcrSelection> selection;  // pcr_banks
  std::optional<PcrValues> values;        // pcr_values
  bool has_chain = false;                 // aik_cert_chain_b64 is there and not null
  std::optional<std::vector<Bytes>> chain;
};

// ReadBlock reads the JSON text, and decides the checks ATTESTATION_MISSING and ATTESTATION_MALFORMED as far as the
// fields themselves go; the verifier fails the latter later if a structure is. A faulty chain fails AIK_CERTIFICATE.
// Any thread.
Block ReadBlock(std::string_view json, Checklist& checks);

}  // namespace nomyo
