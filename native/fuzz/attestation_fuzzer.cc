// Fuzzes all that a server, or a policy file, can put before the attestation code: block JSON, the three structures in
// an otherwise good block, certificates, policies. The first byte of an input says which.
//
// Beside crashes it looks for reports that contradict themselves, and for a block that verifies although its key is
// none of the corpus': that would be a forgery.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include <openssl/evp.h>
#include <nlohmann/json.hpp>

#include "core/attestation/aik_certificate.h"
#include "core/attestation/inspection.h"
#include "core/attestation/policy.h"
#include "core/attestation/report.h"
#include "core/attestation/verifier.h"

namespace {

using nlohmann::json;
using nomyo::Bytes;
using nomyo::ByteView;

void Demand(bool holds) {
  if (!holds) std::abort();
}

const nomyo::Policy& DefaultPolicy() {
  static const nomyo::Policy policy = [] {
    nomyo::Result<nomyo::Policy> read = nomyo::ReadPolicy(
        R"({"banks":["sha1","sha256","sha384","sha512"],"profiles":[{"name":"any","pcrs":{"sha256":{"0":"any"}}}]})");
    Demand(read.ok());
    return std::move(read).value();
  }();
  return policy;
}

void Judge(const std::string& block, const nomyo::Policy& policy) {
  constexpr std::uint8_t kNonce[16] = {1};
  const nomyo::Result<nomyo::Report> report = nomyo::VerifyAttestation(block, kNonce, policy, nullptr);
  Demand(report.ok());
  const nomyo::Checklist& checks = report.value().checks;
  bool any_failed = false;
  for (const nomyo::CheckRow& row : nomyo::kChecks) {
    any_failed = any_failed || checks.at(row.check).outcome == nomyo::Outcome::kFailed;
  }
  // No block of the corpus, and none that a mutation can sign, was made over this nonce.
  Demand(!checks.Verified() && any_failed && checks.Decisive() && !report.value().pcrs);
  Demand(!report.value().certified());
}

void InspectBlock(const std::string& block) {
  const nomyo::Result<std::string> text = nomyo::InspectAttestation(block);
  if (text) Demand(json::parse(text.value()).is_object());
}

std::string Base64(ByteView bytes) {
  std::string text(4 * ((bytes.size() + 2) / 3) + 1, '\0');
  EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()), bytes.data(), static_cast<int>(bytes.size()));
  text.pop_back();
  return text;
}

// Chunk takes a 16-bit size and so many bytes (or what is left) from the input.
ByteView Chunk(ByteView& input) {
  if (input.size() < 2) return {};
  const std::size_t size = static_cast<std::size_t>(input[0] << 8 | input[1]);
  input = input.subspan(2);
  const ByteView chunk = input.first(std::min(size, input.size()));
  input = input.subspan(chunk.size());
  return chunk;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  ByteView input(data + 1, size - 1);
  const std::string text(input.begin(), input.end());
  switch (data[0]) {
    case 'j':
      Judge(text, DefaultPolicy());
      InspectBlock(text);
      break;
    case 's': {
      const ByteView quote = Chunk(input), signature = Chunk(input), aik = Chunk(input);
      const json block = {{"is_available", true},
                          {"pcr_banks", "sha256:0"},
                          {"pcr_values", {{"sha256", {{"0", std::string(64, '1')}}}}},
                          {"quote_b64", Base64(quote)},
                          {"signature_b64", Base64(signature)},
                          {"aik_pubkey_b64", Base64(aik)}};
      Judge(block.dump(), DefaultPolicy());
      InspectBlock(block.dump());
      break;
    }
    case 'c': {
      static EVP_PKEY* key = EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", "P-256");
      std::vector<Bytes> chain;
      while (!input.empty() && chain.size() < 8) {
        const ByteView der = Chunk(input);
        chain.emplace_back(der.begin(), der.end());
      }
      Demand(!nomyo::VerifyAikCertificate(chain, {}, key));
      break;
    }
    case 'p': {
      const nomyo::Result<nomyo::Policy> policy = nomyo::ReadPolicy(text);
      if (policy) Judge("{}", policy.value());
      break;
    }
    default: break;
  }
  return 0;
}
