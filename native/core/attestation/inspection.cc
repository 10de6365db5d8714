#include "core/attestation/inspection.h"

#include <array>

#include <nlohmann/json.hpp>

#include "core/attestation/aik.h"
#include "core/attestation/block.h"
#include "core/tpm/structures.h"

namespace nomyo {
namespace {

using Json = nlohmann::ordered_json;

std::string Hex(std::uint64_t value, int bytes) {
  Bytes big_endian;
  for (int i = bytes - 1; i >= 0; --i) big_endian.push_back(static_cast<std::uint8_t>(value >> (8 * i)));
  return ToHex(big_endian);
}

// The selection as it stands, banks that are not known and indices over 23 included.
std::string RawSelection(const TPML_PCR_SELECTION& list) {
  OrderedPcrSelection selection;
  for (std::size_t i = 0; i < std::min<std::size_t>(list.count, kMaxBanks); ++i) {
    const TPMS_PCR_SELECTION& entry = list.pcrSelections[i];
    selection.emplace_back(entry.hash, MaskOf(entry));
  }
  return PcrText(selection);
}

Json QuoteJson(const QuoteStructure& quote, bool sized) {
  Json json;
  json["form"] = sized ? "TPM2B_ATTEST" : "TPMS_ATTEST";
  json["magicHex"] = Hex(quote.magic, 4);
  json["typeHex"] = Hex(quote.type, 2);
  if (!quote.is_quote()) return json;
  const TPMS_ATTEST& attest = quote.attest;
  json["qualifiedSignerHex"] = ToHex({attest.qualifiedSigner.name, attest.qualifiedSigner.size});
  json["qualifyingDataHex"] = ToHex({attest.extraData.buffer, attest.extraData.size});
  json["clock"] = std::to_string(attest.clockInfo.clock);
  json["safe"] = attest.clockInfo.safe == 1;
  json["resetCount"] = attest.clockInfo.resetCount;
  json["restartCount"] = attest.clockInfo.restartCount;
  json["firmwareVersion"] = Hex(attest.firmwareVersion, 8);
  json["pcrSelection"] = RawSelection(attest.attested.quote.pcrSelect);
  json["pcrDigestHex"] = ToHex({attest.attested.quote.pcrDigest.buffer, attest.attested.quote.pcrDigest.size});
  return json;
}

Result<Json> AikJson(const PublicArea& aik) {
  const TPMT_PUBLIC& area = aik.area;
  Json json;
  const Result<AikKey> key = LoadAikKey(area);
  if (!key && key.error().code != Code::kInvalidArgument) return key.error();
  if (key) {
    json["type"] = key.value().rsa ? "rsa" : "ecc";
    if (key.value().rsa) {
      json["bits"] = key.value().bits;
    } else {
      json["curve"] = key.value().curve;
    }
    Result<std::string> pem = KeyPem(key.value().key.get());
    if (!pem) return pem.error();
    json["pem"] = *pem;
  } else {
    json["type"] = "0x" + Hex(area.type, 2);
    json["fault"] = key.error().message;
  }
  const AikScheme scheme = AikSchemeOf(area);
  json["scheme"] = SchemeName(scheme.scheme, scheme.hash);
  json["nameAlg"] = HashName(area.nameAlg);
  if (HashById(area.nameAlg) != nullptr) {
    Result<Bytes> name = AikName(aik);
    if (!name) return name.error();
    json["nameHex"] = ToHex(*name);
  }
  json["attributesHex"] = Hex(area.objectAttributes, 4);
  json["attributes"] = Json::array();
  for (const std::string& name : AttributeNames(area.objectAttributes)) json["attributes"].push_back(name);
  json["authPolicyHex"] = ToHex({area.authPolicy.buffer, area.authPolicy.size});
  return json;
}

std::size_t SignatureBytes(const TPMT_SIGNATURE& signature) {
  switch (signature.sigAlg) {
    case TPM2_ALG_RSASSA:
    case TPM2_ALG_RSAPSS: return signature.signature.rsassa.sig.size;
    case TPM2_ALG_ECDSA:
      return std::size_t{signature.signature.ecdsa.signatureR.size} + signature.signature.ecdsa.signatureS.size;
    default: return 0;
  }
}

}  // namespace

Result<std::string> InspectAttestation(std::string_view text) {
  Checklist checks;
  const Block block = ReadBlock(text, checks);
  if (const std::optional<Check> failed = checks.Decisive();
      failed && checks.at(*failed).outcome == Outcome::kFailed && *failed <= Check::kMalformed) {
    return Error{Code::kInvalidArgument, checks.at(*failed).detail};
  }
  const Result<const TssMu*> mu = TssMu::Load();
  if (!mu) return mu.error();
  const Result<QuoteStructure> quote = ReadQuote(*mu.value(), *block.quote);
  if (!quote) return quote.error();
  const Result<TPMT_SIGNATURE> signature = ReadSignature(*mu.value(), *block.signature);
  if (!signature) return signature.error();
  const Result<PublicArea> aik = ReadPublicArea(*mu.value(), *block.aik);
  if (!aik) return aik.error();
  Result<Json> aik_json = AikJson(aik.value());
  if (!aik_json) return aik_json.error();

  Json json;
  json["quote"] = QuoteJson(quote.value(), quote.value().bytes.size() != block.quote->size());
  json["signature"] = {{"scheme", SchemeName(signature.value().sigAlg, signature.value().signature.any.hashAlg)},
                       {"bytes", SignatureBytes(signature.value())}};
  json["aik"] = std::move(*aik_json);
  json["pcrBanks"] = PcrText(*block.selection);
  Json& banks = json["pcrs"] = Json::object();
  for (const auto& [bank, pcrs] : *block.values) {
    Json& values = banks[std::string(HashById(bank)->name)] = Json::object();
    for (const auto& [index, value] : pcrs) values[std::to_string(index)] = ToHex(value);
  }
  json["certificates"] = block.chain ? block.chain->size() : 0;
  return json.dump();
}

}  // namespace nomyo
