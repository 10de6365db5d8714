#include "core/attestation/block.h"

#include <array>
#include <string>

#include <openssl/evp.h>
#include <nlohmann/json.hpp>

#include "core/attestation/strict_json.h"

namespace nomyo {
namespace {

using nlohmann::json;

constexpr std::size_t kMaxDepth = 8;
// `sha256:` and the 24 indices with commas have 68 characters.
constexpr std::size_t kMaxPcrBanksCharacters = kMaxBanks * 80;

// DecodedSize is the exact size of canonical base64's content; of other text, something at least as large as a third.
std::size_t DecodedSize(std::string_view text) {
  const std::size_t padding = text.ends_with("==") ? 2 : text.ends_with('=') ? 1 : 0;
  return text.size() / 4 * 3 - (text.size() >= 4 ? padding : 0);
}

// DecodeBase64 accepts canonical base64 only (RFC 4648 4 with 3.5: padded, no white space, spare bits zero): what
// encodes to the same text again. OpenSSL's decoder alone would let more through.
std::optional<Bytes> DecodeBase64(const std::string& text) {
  if (text.empty() || text.size() % 4 != 0) return std::nullopt;
  const auto* characters = reinterpret_cast<const unsigned char*>(text.data());
  Bytes bytes(text.size() / 4 * 3);
  if (EVP_DecodeBlock(bytes.data(), characters, static_cast<int>(text.size())) < 0) return std::nullopt;
  bytes.resize(DecodedSize(text));
  std::string again(text.size() + 1, '\0');  // OpenSSL adds a NUL
  EVP_EncodeBlock(reinterpret_cast<unsigned char*>(again.data()), bytes.data(), static_cast<int>(bytes.size()));
  again.pop_back();
  if (again != text) return std::nullopt;
  return bytes;
}

Result<PcrValues> ReadPcrValues(const json& banks) {
  const auto malformed = [](const char* what) { return Error{Code::kInvalidArgument, what}; };
  PcrValues values;
  for (const auto& [bank_name, pcrs] : banks.items()) {
    const HashAlgorithm* bank = HashByName(bank_name);
    if (bank == nullptr) return malformed("pcr_values holds a bank that is not known.");
    if (!pcrs.is_object() || pcrs.empty()) return malformed("pcr_values holds a bank that is not an object of PCRs.");
    for (const auto& [index_text, value] : pcrs.items()) {
      const int index = ReadPcrIndex(index_text);
      if (index < 0) return malformed("pcr_values holds something other than plain indices from 0 to 23.");
      Bytes& digest = values[bank->id][static_cast<unsigned>(index)];
      if (!value.is_string() || !FromHex(value.get_ref<const std::string&>(), digest) || digest.size() != bank->size) {
        return malformed("pcr_values holds something other than hex of its bank's length.");
      }
    }
  }
  return values;
}

// FieldFault says why a field is as good as missing; null when its type and size are right.
const char* FieldFault(const json& block, const char* name, bool is_structure) {
  const auto field = block.find(name);
  if (field == block.end() || !field->is_string()) return "is missing or not a string";
  const auto& text = field->get_ref<const std::string&>();
  if (text.empty()) return "is empty";
  if (is_structure ? DecodedSize(text) > kMaxStructureBytes : text.size() > kMaxPcrBanksCharacters) {
    return "is over its size limit";
  }
  return nullptr;
}

const char* PcrValuesFault(const json& block) {
  const auto field = block.find("pcr_values");
  if (field == block.end() || !field->is_object()) return "is missing or not an object";
  if (field->empty()) return "is empty";
  if (field->size() > kMaxBanks) return "is over its size limit";
  for (const json& bank : *field) {
    if (bank.is_object() && bank.size() > kPcrCount) return "is over its size limit";
  }
  return nullptr;
}

void ReadChain(const json& block, Block& out, Checklist& checks) {
  const auto field = block.find("aik_cert_chain_b64");
  if (field == block.end() || field->is_null()) return;
  out.has_chain = true;
  std::vector<Bytes> chain;
  bool ok = field->is_array() && !field->empty() && field->size() <= kMaxCertificates;
  for (std::size_t i = 0; ok && i < field->size(); ++i) {
    const json& entry = (*field)[i];
    ok = entry.is_string() && DecodedSize(entry.get_ref<const std::string&>()) <= kMaxStructureBytes;
    std::optional<Bytes> der;
    if (ok) der = DecodeBase64(entry.get_ref<const std::string&>());
    ok = der.has_value();
    if (ok) chain.push_back(std::move(*der));
  }
  if (ok) {
    out.chain = std::move(chain);
  } else {
    checks.Fail(Check::kAikCertificate,
                "aik_cert_chain_b64 is not a list of 1 to 8 certificates in base64 of at most 4 KiB each.");
  }
}

}  // namespace

Block ReadBlock(std::string_view text, Checklist& checks) {
  Block out;
  const Result<JsonTree> read = ReadJson(text, kMaxBlockBytes, kMaxDepth);
  if (!read) {
    // Too large counts as missing, as it does for each field: nothing of it was looked at.
    checks.Fail(read.error().code == Code::kTooLarge ? Check::kMissing : Check::kMalformed,
                "tpm_attestation " + read.error().message + ".");
    return out;
  }
  const json& block = read.value().root;
  if (!block.is_object()) {
    checks.Fail(Check::kMissing, "The answer's tpm_attestation is not an object: the server offered no proof.");
    return out;
  }
  const auto available = block.find("is_available");
  if (available == block.end() || !available->is_boolean() || !available->get<bool>()) {
    checks.Fail(Check::kMissing, "is_available is not true: the server offered no proof.");
    return out;
  }

  struct Structure {
    const char* name;
    std::optional<Bytes>& bytes;
  };
  for (const Structure& structure : {Structure{"quote_b64", out.quote}, Structure{"signature_b64", out.signature},
                                     Structure{"aik_pubkey_b64", out.aik}}) {
    if (const char* fault = FieldFault(block, structure.name, true)) {
      checks.Fail(Check::kMissing, std::string(structure.name) + " " + fault + ".");
      continue;
    }
    structure.bytes = DecodeBase64(block[structure.name].get_ref<const std::string&>());
    if (!structure.bytes) {
      checks.Fail(Check::kMalformed, std::string(structure.name) + " is not canonical base64.");
    }
  }
  if (const char* fault = FieldFault(block, "pcr_banks", false)) {
    checks.Fail(Check::kMissing, std::string("pcr_banks ") + fault + ".");
  } else if (auto selection = ReadPcrBanks(block["pcr_banks"].get_ref<const std::string&>())) {
    out.selection = std::move(*selection);
  } else {
    checks.Fail(Check::kMalformed, selection.error().message);
  }
  if (const char* fault = PcrValuesFault(block)) {
    checks.Fail(Check::kMissing, std::string("pcr_values ") + fault + ".");
  } else if (auto values = ReadPcrValues(block["pcr_values"])) {
    out.values = std::move(*values);
  } else {
    checks.Fail(Check::kMalformed, values.error().message);
  }
  ReadChain(block, out, checks);
  checks.Pass(Check::kMissing, "The block is there, with all its fields.");
  return out;
}

}  // namespace nomyo
