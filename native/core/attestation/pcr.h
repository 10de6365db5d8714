// PCRs: selections and values, as a block claims them and as a quote signs them. All functions: any thread.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <tss2/tss2_tpm2_types.h>

#include "core/result.h"
#include "core/tpm/hash_algorithm.h"

namespace nomyo {

// Every TPM for a PC has PCRs 0 to 23 (PC Client Platform TPM Profile 4.6).
inline constexpr unsigned kPcrCount = 24;
// No TPM has more banks (TPM2_NUM_PCR_BANKS).
inline constexpr std::size_t kMaxBanks = 16;

// PcrSelection as a set: bank id to a mask, bit n for PCR n. Never holds an empty mask.
using PcrSelection = std::map<std::uint16_t, std::uint32_t>;
// The same with the quote's own order of banks, which pcrDigest depends on.
using OrderedPcrSelection = std::vector<std::pair<std::uint16_t, std::uint32_t>>;
// Bank id, index, value of exactly the bank's length.
using PcrValues = std::map<std::uint16_t, std::map<unsigned, Bytes>>;

// ReadPcrBanks parses `pcr_banks`: `sha256:0,7,10`, several joined with `+`. Banks must be known and none twice,
// indices plain decimal 0 to 23 and none twice. Error: kInvalidArgument, a sentence.
Result<PcrSelection> ReadPcrBanks(std::string_view text);

// ReadPcrIndex parses plain decimal 0 to 23 without leading zero, sign or space; -1 for anything else.
int ReadPcrIndex(std::string_view text);

// MaskOf returns the selected PCRs of one bank, bit n for PCR n, those over 23 included.
std::uint32_t MaskOf(const TPMS_PCR_SELECTION& entry);

// ReadSignedSelection checks TPML_PCR_SELECTION: 1 to 16 known banks, none twice, at least one PCR each, none over 23.
// Error: kInvalidArgument, a sentence.
Result<OrderedPcrSelection> ReadSignedSelection(const TPML_PCR_SELECTION& list);

// SelectionOf is the set of PCRs that have a value.
PcrSelection SelectionOf(const PcrValues& values);

// Covers tells whether `selection` holds all of `wanted`, each in its own bank.
bool Covers(const PcrSelection& selection, const PcrSelection& wanted);

// PcrText writes `sha256:0,7,10+sha384:0`; an unknown bank by its number.
std::string PcrText(const OrderedPcrSelection& selection);
std::string PcrText(const PcrSelection& selection);

}  // namespace nomyo
