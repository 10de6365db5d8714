#include "addon/report_value.h"

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "addon/error.h"
#include "addon/property.h"

namespace nomyo::addon {
namespace {

// One call of a function costs less than a Node-API call for each member. Literals, rest parameters and spreads make
// own properties whatever prototypes hold; an assignment would run a setter that a prototype has under such a name.
constexpr std::string_view kMakers = R"js("use strict";
((...codes) => {
  const { defineProperty } = Object;
  return {
    report(verified, code, message, trust, name, verdict, aik, quote, pcrs, profile, nearest, differences, ...checks) {
      for (let i = 0; i < codes.length; i++) {
        checks[i] = { code: codes[i], ok: checks[2 * i], detail: checks[2 * i + 1] };
      }
      checks.length = codes.length;
      return {
        verified,
        ...(code === undefined ? undefined : { code: codes[code], message }),
        checks,
        trust,
        engine: { name, verdict },
        ...(aik === undefined ? undefined : { aik }),
        ...(quote === undefined ? undefined : { quote }),
        ...(pcrs === undefined ? undefined : { pcrs }),
        ...(profile === undefined ? undefined : { profile }),
        ...(nearest === undefined ? undefined : { nearest: { profile: nearest, differences } }),
      };
    },
    aik(bits, curve, scheme, nameHex, hierarchy, pem) {
      return bits === undefined
        ? { type: "ecc", curve, scheme, nameHex, hierarchy, pem }
        : { type: "rsa", bits, scheme, nameHex, hierarchy, pem };
    },
    quote(clock, safe, qualifyingDataHex, pcrSelection, pcrDigestHex, resetCount, restartCount, firmwareVersion) {
      return resetCount === undefined
        ? { clock, safe, qualifyingDataHex, pcrSelection, pcrDigestHex }
        : { clock, safe, resetCount, restartCount, firmwareVersion, qualifyingDataHex, pcrSelection, pcrDigestHex };
    },
    members(...given) {
      const object = {};
      for (let i = 0; i < given.length; i += 2) {
        const value = given[i + 1];
        const own = { __proto__: null, value, writable: true, enumerable: true, configurable: true };
        defineProperty(object, given[i], own);
      }
      return object;
    },
    difference: (bank, index, expected, found) => ({ bank, index, expected, found }),
    list: (...values) => values,
  };
}))js";

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

// Values makes JavaScript values. After the first that cannot be made all are null, and ok() is false.
class Values {
 public:
  using List = std::vector<napi_value>;

  explicit Values(napi_env env) : env_(env) {
    napi_get_undefined(env_, &undefined_);
    ok_ = undefined_ != nullptr;
  }

  bool ok() const { return ok_; }
  napi_value Nothing() const { return undefined_; }

  // Only a profile's name is foreign text, and ReadJson took only UTF-8.
  napi_value Text(std::string_view text) {
    return Made([&](napi_value* made) { return napi_create_string_utf8(env_, text.data(), text.size(), made); });
  }
  napi_value Number(std::uint32_t number) {
    return Made([&](napi_value* made) { return napi_create_uint32(env_, number, made); });
  }
  napi_value Truth(bool truth) {
    return Made([&](napi_value* made) { return napi_get_boolean(env_, truth, made); });
  }
  napi_value Null() {
    return Made([&](napi_value* made) { return napi_get_null(env_, made); });
  }
  napi_value Call(const Napi::FunctionReference& function, const List& arguments) {
    return Made([&](napi_value* made) {
      return napi_call_function(env_, undefined_, function.Value(), arguments.size(), arguments.data(), made);
    });
  }

 private:
  template <class Make>
  napi_value Made(Make make) {
    napi_value made = nullptr;
    if (ok_) ok_ = make(&made) == napi_ok;
    return ok_ ? made : nullptr;
  }

  napi_env env_;
  napi_value undefined_ = nullptr;
  bool ok_ = true;
};

napi_value Outcome(Values& values, nomyo::Outcome outcome) {
  if (outcome == nomyo::Outcome::kPassed) return values.Truth(true);
  if (outcome == nomyo::Outcome::kFailed) return values.Truth(false);
  return values.Null();
}

napi_value Expected(Values& values, const Napi::FunctionReference& list, const PcrRule& rule) {
  if (rule.any) return values.Text("any");
  Values::List digests;
  for (const Bytes& value : rule.values) digests.push_back(values.Text(ToHex(value)));
  return digests.size() == 1 ? digests[0] : values.Call(list, digests);
}

}  // namespace

std::optional<ReportMaker> ReportMaker::Create(Napi::Env env) {
  napi_value script = nullptr;
  napi_value make = nullptr;
  napi_value made = nullptr;
  Values values(env);
  Values::List codes;
  for (const CheckRow& row : kChecks) codes.push_back(values.Text(row.name));
  if (!values.ok() || napi_create_string_utf8(env, kMakers.data(), kMakers.size(), &script) != napi_ok ||
      napi_run_script(env, script, &make) != napi_ok ||
      napi_call_function(env, values.Nothing(), make, codes.size(), codes.data(), &made) != napi_ok) {
    return std::nullopt;
  }
  ReportMaker maker;
  for (const auto& [name, function] : {std::pair{"report", &maker.report_},
                                       {"aik", &maker.aik_},
                                       {"quote", &maker.quote_},
                                       {"members", &maker.members_},
                                       {"difference", &maker.difference_},
                                       {"list", &maker.list_}}) {
    const auto value = GetProperty(env, made, name);
    if (!value) return std::nullopt;
    *function = Napi::Persistent(Napi::Function(env, *value));
  }
  return maker;
}

// Long: one part of the report after the other, as lib/attestation/report.ts lists them.
Napi::Value ReportMaker::Make(Napi::Env env, const Report& report) const {
  Values values(env);
  const auto aik = [&] {
    if (!report.aik) return values.Nothing();
    const Report::Aik& is = *report.aik;
    return values.Call(
        aik_, {is.rsa ? values.Number(is.bits) : values.Nothing(), values.Text(is.curve), values.Text(is.scheme),
               values.Text(is.name_hex), values.Text(is.hierarchy), values.Text(is.pem)});
  };
  const auto quote = [&] {
    if (!report.quote) return values.Nothing();
    const Report::Quote& is = *report.quote;
    Values::List members = {values.Text(std::to_string(is.clock)), values.Truth(is.safe),
                            values.Text(is.qualifying_data_hex), values.Text(is.pcr_selection),
                            values.Text(is.pcr_digest_hex)};
    if (is.counters) {
      members.push_back(values.Number(is.counters->reset));
      members.push_back(values.Number(is.counters->restart));
      members.push_back(values.Text(Hex64(is.counters->firmware)));
    }
    return values.Call(quote_, members);
  };
  const auto pcrs = [&] {
    if (!report.pcrs) return values.Nothing();
    Values::List banks;
    for (const auto& [bank, digests] : *report.pcrs) {
      Values::List members;
      for (const auto& [index, value] : digests) {
        members.push_back(values.Text(std::to_string(index)));
        members.push_back(values.Text(ToHex(value)));
      }
      banks.push_back(values.Text(HashById(bank)->name));
      banks.push_back(values.Call(members_, members));
    }
    return values.Call(members_, banks);
  };
  const auto differences = [&] {
    if (!report.nearest) return values.Nothing();
    Values::List list;
    for (const PcrDifference& is : report.nearest->differences) {
      list.push_back(values.Call(difference_, {values.Text(HashById(is.bank)->name), values.Number(is.index),
                                               Expected(values, list_, is.expected),
                                               is.found ? values.Text(ToHex(*is.found)) : values.Null()}));
    }
    return values.Call(list_, list);
  };

  const std::optional<Check> decisive = report.checks.Decisive();
  Values::List all = {
      values.Truth(report.checks.Verified()),
      decisive ? values.Number(static_cast<std::uint32_t>(*decisive)) : values.Nothing(),
      decisive ? values.Text(report.checks.at(*decisive).detail) : values.Nothing(),
      values.Text(report.certified() ? "certified" : "self-asserted"),
      values.Text(report.engine),
      values.Text(VerdictName(report.verdict)),
      aik(),
      quote(),
      pcrs(),
      report.profile ? values.Text(*report.profile) : values.Nothing(),
      report.nearest ? values.Text(report.nearest->name) : values.Nothing(),
      differences(),
  };
  for (const CheckRow& row : kChecks) {
    const Checklist::Entry& entry = report.checks.at(row.check);
    all.push_back(Outcome(values, entry.outcome));
    all.push_back(values.Text(entry.detail));
  }
  const napi_value made = values.Call(report_, all);
  if (values.ok()) return {env, made};
  if (!env.IsExceptionPending()) Throw(env, OutOfMemory());
  return {};
}

}  // namespace nomyo::addon
