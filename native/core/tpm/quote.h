// MakeQuote: the server's side of attestation, a quote by an ephemeral (or persistent) AIK with the PCR values it
// covers.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"
#include "core/tpm/connection.h"

namespace nomyo {

// The kinds of AIK that MakeQuote can create; all are restricted signing keys with SHA-256.
enum class AikAlgorithm { kEccP256, kRsa2048Rsassa, kRsa2048Rsapss };

struct QuoteRequest {
  AikAlgorithm aik = AikAlgorithm::kEccP256;
  // The selection in tpm2-tools' grammar: banks joined with '+', each with its PCRs: "sha256:0,7,10+sha384:0".
  std::string pcrs = "sha256:0,7,10";
  // A persistent AIK to sign with, 0x81000000 to 0x81ffffff, with an empty authorization. No key is made then.
  std::optional<std::uint32_t> persistent_handle = std::nullopt;
};

struct QuotedPcr {
  std::string bank;  // as in the selection: "sha256"
  int index;
  std::vector<std::uint8_t> value;
};

// A quote. All of it is public.
struct Quote {
  std::string pcr_banks;                 // the selection that was quoted, in canonical form
  std::vector<QuotedPcr> pcrs;           // in the order of the selection, indices ascending
  std::vector<std::uint8_t> attest;      // TPMS_ATTEST, exactly the bytes that are signed (TPM 2.0 Part 2, 10.12.12)
  std::vector<std::uint8_t> signature;   // TPMT_SIGNATURE
  std::vector<std::uint8_t> aik_public;  // TPM2B_PUBLIC
};

// ParsePcrSelection reads the grammar of QuoteRequest::pcrs into `selection`: the banks sha1, sha256, sha384, sha512,
// plain decimal indices 0 to 23, nothing twice, nothing empty. Error: kInvalidArgument. Any thread.
Status ParsePcrSelection(std::string_view text, TPML_PCR_SELECTION& selection);

// FormatPcrSelection is the reverse, indices ascending. Any thread.
std::string FormatPcrSelection(const TPML_PCR_SELECTION& selection);

// MakeQuote makes an AIK for this call alone (a primary key of the null hierarchy with random bytes in its template, so
// that no two are the same, no owner password is needed, and nothing stays in the TPM), quotes the selection with
// `qualifying_data` (at most 64 bytes) and reads the PCRs. A file that IMA measures between quote and read makes the
// two disagree; then both are done again, a few times. The key is flushed in every case. Blocks for milliseconds (ECC)
// to seconds (RSA on a discrete TPM), on the connection's thread.
// Errors: kInvalidArgument; kTpm (also: a bank or PCR that this TPM does not have).
Result<Quote> MakeQuote(TpmConnection& connection, std::span<const std::uint8_t> qualifying_data,
                        const QuoteRequest& request);

}  // namespace nomyo
