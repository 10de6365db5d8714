#include "core/attestation/policy.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <tss2/tss2_tpm2_types.h>
#include <nlohmann/json.hpp>

#include "core/attestation/strict_json.h"

namespace nomyo {
namespace {

using nlohmann::json;

constexpr std::size_t kMaxPolicyBytes = std::size_t{128} * 1024;
constexpr std::size_t kMaxDepth = 8;

// A policy is wrong in one way: the caller's. Thrown and caught in this file only, where every line can find a fault.
struct PolicyFault {
  std::string what;
};

[[noreturn]] void Refuse(std::string what) {
  throw PolicyFault{std::move(what)};
}

// `where` is a view: a reference to a temporary string would look, to GCC 13 and newer, like what the result refers to.
// `value` is a part of the policy's tree, which outlives all that is read from it.
// NOLINTBEGIN(bugprone-return-const-ref-from-parameter)
const json& Object(const json& value, std::string_view where) {
  if (!value.is_object() || value.empty()) Refuse(std::string(where) + " must be an object that is not empty");
  return value;
}

const json& Array(const json& value, std::string_view where) {
  if (!value.is_array() || value.empty()) Refuse(std::string(where) + " must be a list that is not empty");
  return value;
}

// NOLINTEND(bugprone-return-const-ref-from-parameter)

const std::string& String(const json& value, std::string_view where) {
  if (!value.is_string()) Refuse(std::string(where) + " must be a string");
  return value.get_ref<const std::string&>();
}

bool Boolean(const json& value, const std::string& where) {
  if (!value.is_boolean()) Refuse(where + " must be true or false");
  return value.get<bool>();
}

void OnlyKeys(const json& object, const std::set<std::string_view>& known, const std::string& where) {
  for (const auto& [key, value] : object.items()) {
    if (!known.contains(key)) Refuse(where + " has an unknown key");
  }
}

std::uint16_t Bank(const std::string& name, const std::string& where) {
  const HashAlgorithm* bank = HashByName(name);
  if (bank == nullptr) Refuse(where + " names a bank that is not known");
  return bank->id;
}

std::uint16_t Scheme(const std::string& name) {
  if (name == "rsassa") return TPM2_ALG_RSASSA;
  if (name == "rsapss") return TPM2_ALG_RSAPSS;
  if (name == "ecdsa") return TPM2_ALG_ECDSA;
  Refuse("signature.schemes may hold rsassa, rsapss and ecdsa");
}

std::uint16_t SignatureHash(const std::string& name) {
  const HashAlgorithm* hash = HashByName(name);
  if (hash == nullptr || !IsSignatureHash(hash->id)) Refuse("signature.hashes may hold sha256, sha384 and sha512");
  return hash->id;
}

void ReadSignature(const json& value, Policy& policy) {
  const json& signature = Object(value, "signature");
  OnlyKeys(signature, {"schemes", "hashes", "minRsaBits"}, "signature");
  if (const auto schemes = signature.find("schemes"); schemes != signature.end()) {
    policy.schemes.clear();
    for (const json& name : Array(*schemes, "signature.schemes")) {
      policy.schemes.insert(Scheme(String(name, "signature.schemes")));
    }
  }
  if (const auto hashes = signature.find("hashes"); hashes != signature.end()) {
    policy.hashes.clear();
    for (const json& name : Array(*hashes, "signature.hashes")) {
      policy.hashes.insert(SignatureHash(String(name, "signature.hashes")));
    }
  }
  if (const auto bits = signature.find("minRsaBits"); bits != signature.end()) {
    if (*bits != 2048 && *bits != 3072 && *bits != 4096) Refuse("signature.minRsaBits must be 2048, 3072 or 4096");
    policy.min_rsa_bits = bits->get<unsigned>();
  }
}

// PCRs 16 and 23 can be reset by anyone, so demanding a value of them demands nothing.
unsigned Index(int index, const std::string& where) {
  if (index < 0 || index == 16 || index == 23) Refuse(where + " holds something other than PCRs 0 to 15 and 17 to 22");
  return static_cast<unsigned>(index);
}

void ReadRequired(const json& value, Policy& policy) {
  for (const auto& [name, indices] : Object(value, "required").items()) {
    std::uint32_t& mask = policy.required[Bank(name, "required")];
    for (const json& index : Array(indices, "required")) {
      const bool in_range = index.is_number_unsigned() && index.get<std::uint64_t>() < kPcrCount;
      mask |= 1U << Index(in_range ? index.get<int>() : -1, "required");
    }
  }
}

PcrRule ReadRule(const json& value, std::size_t size) {
  PcrRule rule;
  if (value == "any") {
    rule.any = true;
    return rule;
  }
  const auto add = [&](const json& text) {
    Bytes& digest = rule.values.emplace_back();
    if (!FromHex(String(text, "profiles: a PCR"), digest) || digest.size() != size) {
      Refuse("profiles: a PCR holds something other than hex of its bank's length");
    }
  };
  if (value.is_string()) {
    add(value);
  } else {
    for (const json& text : Array(value, "profiles: a PCR")) add(text);
  }
  return rule;
}

void ReadProfiles(const json& value, Policy& policy) {
  for (const json& entry : Array(value, "profiles")) {
    OnlyKeys(Object(entry, "profiles"), {"name", "note", "pcrs"}, "profiles");
    if (!entry.contains("name") || !entry.contains("pcrs")) Refuse("profiles: each needs a name and pcrs");
    Profile& profile = policy.profiles.emplace_back();
    profile.name = String(entry["name"], "profiles: name");
    for (const auto& [name, pcrs] : Object(entry["pcrs"], "profiles: pcrs").items()) {
      const std::uint16_t bank = Bank(name, "profiles");
      for (const auto& [index, rule] : Object(pcrs, "profiles: a bank").items()) {
        profile.pcrs[bank][Index(ReadPcrIndex(index), "profiles")] = ReadRule(rule, HashById(bank)->size);
      }
    }
  }
}

void ReadAikRoots(const json& value, Policy& policy) {
  for (const json& entry : Array(value, "aikRoots")) {
    const std::string& pem = String(entry, "aikRoots");
    const Bio bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
    X509Certificate root(bio != nullptr ? PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr) : nullptr);
    // One string, one certificate: a second one in it would be an anchor that nobody sees, or one that is forgotten.
    const X509Certificate second(bio != nullptr ? PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr) : nullptr);
    ERR_clear_error();
    if (root == nullptr || second != nullptr) Refuse("aikRoots: each must be one certificate in PEM");
    policy.aik_roots.push_back(std::move(root));
  }
}

void ReadKey(const std::string& key, const json& value, Policy& policy) {
  if (key == "signature") {
    ReadSignature(value, policy);
  } else if (key == "banks") {
    policy.banks.clear();
    for (const json& name : Array(value, "banks")) policy.banks.insert(Bank(String(name, "banks"), "banks"));
  } else if (key == "required") {
    ReadRequired(value, policy);
  } else if (key == "profiles") {
    ReadProfiles(value, policy);
  } else if (key == "requirePrimary") {
    policy.require_primary = Boolean(value, "requirePrimary");
  } else if (key == "engine") {
    if (value != "offline" && value != "esapi") Refuse("engine must be offline or esapi");
    policy.require_tpm_engine = value == "esapi";
  } else if (key == "aikRoots") {
    ReadAikRoots(value, policy);
  } else if (key != "version" && key != "mode" && key != "preflight" && key != "maxAgeMs" && key != "binding") {
    Refuse("it has an unknown key");
  }
}

}  // namespace

Result<Policy> ReadPolicy(std::string_view text) {
  const Result<JsonTree> read = ReadJson(text, kMaxPolicyBytes, kMaxDepth);
  if (!read) return Error{read.error().code, "The attestation policy " + read.error().message + "."};
  Policy policy;
  policy.schemes = {TPM2_ALG_RSASSA, TPM2_ALG_RSAPSS, TPM2_ALG_ECDSA};
  policy.hashes = {TPM2_ALG_SHA256, TPM2_ALG_SHA384, TPM2_ALG_SHA512};
  policy.banks = policy.hashes;
  try {
    for (const auto& [key, value] : Object(read.value().root, "it").items()) ReadKey(key, value, policy);
  } catch (const PolicyFault& fault) {
    return Error{Code::kInvalidArgument, "The attestation policy is wrong: " + fault.what + "."};
  }
  return policy;
}

}  // namespace nomyo
