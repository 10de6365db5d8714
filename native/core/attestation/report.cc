#include "core/attestation/report.h"

#include <nlohmann/json.hpp>

namespace nomyo {
namespace {

using Json = nlohmann::ordered_json;

Json OkOf(Outcome outcome) {
  if (outcome == Outcome::kPassed) return true;
  if (outcome == Outcome::kFailed) return false;
  return nullptr;
}

std::string_view VerdictName(const std::optional<EngineVerdict>& verdict) {
  if (!verdict) return "not-run";
  switch (*verdict) {
    case EngineVerdict::kValid: return "valid";
    case EngineVerdict::kInvalid: return "invalid";
    case EngineVerdict::kUnsupported: return "unsupported";
  }
  return "invalid";
}

std::string Hex64(std::uint64_t value) {
  std::uint8_t bytes[8];
  for (int i = 0; i < 8; ++i) bytes[i] = static_cast<std::uint8_t>(value >> (56 - 8 * i));
  return ToHex(bytes);
}

Json AikJson(const Report::Aik& aik) {
  Json json;
  json["type"] = aik.rsa ? "rsa" : "ecc";
  if (aik.rsa) {
    json["bits"] = aik.bits;
  } else {
    json["curve"] = aik.curve;
  }
  json["scheme"] = aik.scheme;
  json["nameHex"] = aik.name_hex;
  json["hierarchy"] = aik.hierarchy;
  json["pem"] = aik.pem;
  return json;
}

Json QuoteJson(const Report::Quote& quote) {
  Json json;
  json["clock"] = std::to_string(quote.clock);
  json["safe"] = quote.safe;
  if (quote.counters) {
    json["resetCount"] = quote.counters->reset;
    json["restartCount"] = quote.counters->restart;
    json["firmwareVersion"] = Hex64(quote.counters->firmware);
  }
  json["qualifyingDataHex"] = quote.qualifying_data_hex;
  json["pcrSelection"] = quote.pcr_selection;
  json["pcrDigestHex"] = quote.pcr_digest_hex;
  return json;
}

Json NearestJson(const NearestProfile& nearest) {
  Json json;
  json["profile"] = nearest.name;
  Json& differences = json["differences"] = Json::array();
  for (const PcrDifference& difference : nearest.differences) {
    Json expected;
    if (difference.expected.any) {
      expected = "any";
    } else if (difference.expected.values.size() == 1) {
      expected = ToHex(difference.expected.values[0]);
    } else {
      expected = Json::array();
      for (const Bytes& value : difference.expected.values) expected.push_back(ToHex(value));
    }
    Json found;  // null
    if (difference.found) found = ToHex(*difference.found);
    differences.push_back({{"bank", HashById(difference.bank)->name},
                           {"index", difference.index},
                           {"expected", std::move(expected)},
                           {"found", std::move(found)}});
  }
  return json;
}

}  // namespace

std::string ReportJson(const Report& report) {
  Json json;
  json["verified"] = report.checks.Verified();
  if (const std::optional<Check> decisive = report.checks.Decisive()) {
    json["code"] = report.checks.rows()[static_cast<std::size_t>(*decisive)].name;
    json["message"] = report.checks.at(*decisive).detail;
  }
  Json& checks = json["checks"] = Json::array();
  for (const CheckRow& row : report.checks.rows()) {
    const Checklist::Entry& entry = report.checks.at(row.check);
    // Not by a list of pairs, which copies each text twice.
    Json& check = checks.emplace_back(Json::object());
    check["code"] = row.name;
    check["ok"] = OkOf(entry.outcome);
    check["detail"] = entry.detail;
  }
  json["trust"] = report.certified() ? "certified" : "self-asserted";
  json["engine"] = {{"name", report.engine}, {"verdict", VerdictName(report.verdict)}};
  if (report.aik) json["aik"] = AikJson(*report.aik);
  if (report.quote) json["quote"] = QuoteJson(*report.quote);
  if (report.pcrs) {
    Json& banks = json["pcrs"] = Json::object();
    for (const auto& [bank, pcrs] : *report.pcrs) {
      Json& values = banks[std::string(HashById(bank)->name)] = Json::object();
      for (const auto& [index, value] : pcrs) values[std::to_string(index)] = ToHex(value);
    }
  }
  if (report.profile) json["profile"] = *report.profile;
  if (report.nearest) json["nearest"] = NearestJson(*report.nearest);
  // Only a profile's name is foreign text, and ReadJson took only UTF-8; `replace` keeps dump from ever throwing.
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace nomyo
