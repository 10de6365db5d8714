#include "core/attestation/pcr.h"

#include <algorithm>

namespace nomyo {
namespace {

Error Malformed(std::string what) {
  return {Code::kInvalidArgument, std::move(what)};
}

// TakeUntil removes the part before the next `separator` from `rest` and returns it; `more` says if there was one.
std::string_view TakeUntil(std::string_view& rest, char separator, bool& more) {
  const std::size_t end = rest.find(separator);
  more = end != std::string_view::npos;
  const std::string_view part = rest.substr(0, end);
  rest.remove_prefix(more ? end + 1 : rest.size());
  return part;
}

}  // namespace

int ReadPcrIndex(std::string_view text) {
  const bool digits = std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
  if (text.empty() || text.size() > 2 || !digits || (text.size() == 2 && text[0] == '0')) return -1;
  int index = 0;
  for (const char c : text) index = index * 10 + (c - '0');
  return index < static_cast<int>(kPcrCount) ? index : -1;
}

Result<PcrSelection> ReadPcrBanks(std::string_view text) {
  PcrSelection selection;
  for (bool more_banks = true; more_banks;) {
    std::string_view part = TakeUntil(text, '+', more_banks);
    bool has_colon = false;
    const HashAlgorithm* bank = HashByName(TakeUntil(part, ':', has_colon));
    if (bank == nullptr || !has_colon) return Malformed("pcr_banks names a bank that is not known.");
    if (selection.contains(bank->id)) return Malformed("pcr_banks names a bank twice.");
    std::uint32_t mask = 0;
    for (bool more_indices = true; more_indices;) {
      const int index = ReadPcrIndex(TakeUntil(part, ',', more_indices));
      if (index < 0) return Malformed("pcr_banks holds something other than plain indices from 0 to 23.");
      if ((mask >> index & 1) != 0) return Malformed("pcr_banks names a PCR twice.");
      mask |= 1U << index;
    }
    selection[bank->id] = mask;
  }
  return selection;
}

std::uint32_t MaskOf(const TPMS_PCR_SELECTION& entry) {
  std::uint32_t mask = 0;
  for (std::size_t byte = 0; byte < sizeof entry.pcrSelect; ++byte) {
    if (byte < entry.sizeofSelect) mask |= std::uint32_t{entry.pcrSelect[byte]} << (8 * byte);
  }
  return mask;
}

Result<OrderedPcrSelection> ReadSignedSelection(const TPML_PCR_SELECTION& list) {
  // A TPM leaves out what it does not have, without an error (Part 3, 22.3: banks that are not allocated).
  constexpr const char* kNotAllocated =
      " A TPM answers so when the bank that was asked for is not allocated in it: have the server quote a bank that is "
      "(tpm2_getcap pcrs lists them), or allocate it (tpm2_pcrallocate).";
  if (list.count == 0) return Malformed(std::string("The quote's list of PCRs is empty.") + kNotAllocated);
  if (list.count > kMaxBanks) {
    return Malformed("The quote selects " + std::to_string(list.count) + " PCR banks: no TPM has more than 16.");
  }
  OrderedPcrSelection selection;
  for (std::size_t i = 0; i < list.count; ++i) {
    const TPMS_PCR_SELECTION& entry = list.pcrSelections[i];
    if (HashById(entry.hash) == nullptr) {
      return Malformed("The quote selects a PCR bank that is not known, " + HashName(entry.hash) + ".");
    }
    if (std::ranges::find(selection, entry.hash, &OrderedPcrSelection::value_type::first) != selection.end()) {
      return Malformed("The quote selects the PCR bank " + HashName(entry.hash) + " twice.");
    }
    const std::uint32_t mask = MaskOf(entry);
    if (entry.sizeofSelect > sizeof entry.pcrSelect || mask >> kPcrCount != 0) {
      return Malformed("The quote selects PCRs over 23 in its bank " + HashName(entry.hash) + ".");
    }
    if (mask == 0) {
      return Malformed("The quote names the PCR bank " + HashName(entry.hash) + " and selects nothing in it." +
                       kNotAllocated);
    }
    selection.emplace_back(entry.hash, mask);
  }
  return selection;
}

PcrSelection SelectionOf(const PcrValues& values) {
  PcrSelection selection;
  for (const auto& [bank, pcrs] : values) {
    for (const auto& [index, value] : pcrs) selection[bank] |= 1U << index;
  }
  return selection;
}

bool Covers(const PcrSelection& selection, const PcrSelection& wanted) {
  return std::ranges::all_of(wanted, [&](const auto& want) {
    const auto found = selection.find(want.first);
    return found != selection.end() && (want.second & ~found->second) == 0;
  });
}

std::string PcrText(const OrderedPcrSelection& selection) {
  std::string text;
  for (const auto& [bank, mask] : selection) {
    if (!text.empty()) text += '+';
    text += HashName(bank);
    char separator = ':';
    for (unsigned index = 0; index < 32; ++index) {
      if ((mask >> index & 1) == 0) continue;
      text += separator;
      text += std::to_string(index);
      separator = ',';
    }
  }
  return text;
}

std::string PcrText(const PcrSelection& selection) {
  return PcrText(OrderedPcrSelection(selection.begin(), selection.end()));
}

}  // namespace nomyo
