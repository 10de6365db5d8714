#include "addon/attestation.h"

#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "addon/argument.h"
#include "addon/error.h"
#include "addon/function.h"
#include "addon/job.h"
#include "addon/report_value.h"
#include "addon/tpm.h"
#include "addon/uint8_array.h"
#include "core/attestation/inspection.h"
#include "core/attestation/policy.h"
#include "core/attestation/tpm_verify_engine.h"
#include "core/attestation/verifier.h"

namespace nomyo::addon {
namespace {

// The end of the year 9999, the last that a certificate can name (RFC 5280 4.1.2.5).
constexpr std::size_t kMostSeconds = 253402300799;

struct Verification {
  std::string block;
  Bytes qualifying_data;
  std::string policy;
  std::optional<std::int64_t> at;
  const ReportMaker* maker;
  std::optional<Report> report;

  Status Run(SignatureEngine* engine) {
    Result<Policy> read = ReadPolicy(policy);
    if (!read) return read.error();
    read.value().at = at;
    Result<Report> outcome = VerifyAttestation(block, qualifying_data, read.value(), engine);
    if (!outcome) return outcome.error();
    report = std::move(*outcome);
    return Status::Ok();
  }

  // RunIfQuick is Run on the JavaScript thread, for what takes less there than on its way to another thread and back;
  // false for all else.
  Result<bool> RunIfQuick() {
    // Certificates take longer.
    if (policy.size() > kMostQuickBytes || policy.find("aikRoots") != std::string::npos) return false;
    const LockingScope scope(Locking::kPublic);
    const Result<Policy> read = ReadPolicy(policy);
    if (!read) return read.error();
    auto outcome = VerifyIfQuick(block, qualifying_data, read.value());
    if (!outcome) return outcome.error();
    report = std::move(outcome.value());
    return report.has_value();
  }

  Napi::Value Value(Napi::Env env) const { return maker->Make(env, *report); }
};

// Offline: with our own libcrypto, on the package's own threads.
class OfflineJob final : public PromiseJob {
 public:
  explicit OfflineJob(Verification verification) : verification_(std::move(verification)) {}
  Status Work() override { return verification_.Run(nullptr); }
  Napi::Value Resolve(Napi::Env env) override { return verification_.Value(env); }

 private:
  Verification verification_;
};

// With a TPM's second opinion, on the thread of that TPM, since it blocks.
class TpmVerifyJob final : public TpmJob {
 public:
  explicit TpmVerifyJob(Verification verification) : verification_(std::move(verification)) {}
  Status Work(TpmConnection& tpm) override {
    TpmVerifyEngine engine(tpm);
    return verification_.Run(&engine);
  }
  Napi::Value Resolve(Napi::Env env) override { return verification_.Value(env); }

 private:
  Verification verification_;
};

Napi::Value VerifyAttestationBlock(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  if (!info[0].IsString()) return ThrowTypeError(env, "block must be a string of JSON");
  if (!info[2].IsString()) return ThrowTypeError(env, "policyJson must be a string of JSON");
  if (!info[3].IsNull() && !info[3].IsString()) return ThrowTypeError(env, "engineTcti must be a string or null");
  const auto qualifying_data = ReadUint8Array(env, info[1], "qualifyingData");
  if (!qualifying_data) return env.Undefined();
  std::optional<std::int64_t> at;
  if (!info[4].IsUndefined()) {
    const auto given = GetWhole(env, info[4], 0, kMostSeconds, "at must be unix seconds");
    if (!given) return env.Undefined();
    at = static_cast<std::int64_t>(*given);
  }
  Verification verification{.block = info[0].As<Napi::String>().Utf8Value(),
                            .qualifying_data = Bytes(qualifying_data->begin(), qualifying_data->end()),
                            .policy = info[2].As<Napi::String>().Utf8Value(),
                            .at = at,
                            .maker = static_cast<const ReportMaker*>(info.Data()),
                            .report = {}};
  if (info[3].IsString()) {
    auto device = SharedTpm(info[3].As<Napi::String>().Utf8Value());
    if (!device) return Throw(env, device.error());
    return StartOnTpm(env, std::move(device).value(), std::make_shared<TpmVerifyJob>(std::move(verification)));
  }
  const Result<bool> done = verification.RunIfQuick();
  if (!done) return Throw(env, done.error());
  if (done.value()) {
    const Napi::Value report = verification.Value(env);
    if (env.IsExceptionPending()) return env.Undefined();
    const auto promise = Napi::Promise::Deferred::New(env);
    promise.Resolve(report);
    return promise.Promise();
  }
  // A quote holds no secret, so nothing of this job needs to be locked.
  return Start(env, std::make_shared<OfflineJob>(std::move(verification)), Locking::kPublic);
}

Napi::Value ParseAttestation(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  if (!info[0].IsString()) return ThrowTypeError(env, "block must be a string of JSON");
  const LockingScope scope(Locking::kPublic);
  const Result<std::string> text = InspectAttestation(info[0].As<Napi::String>().Utf8Value());
  if (!text) return Throw(env, text.error());
  return Napi::String::New(env, text.value());
}

}  // namespace

void InitAttestation(Napi::Env env, Napi::Object exports) {
  if (auto maker = ReportMaker::Create(env)) {
    ReportMaker* const kept = new ReportMaker(std::move(*maker));
    env.AddCleanupHook([kept] { delete kept; });
    Export<VerifyAttestationBlock>(env, exports, "verifyAttestation", kept);
  }
  Export<Prepared<ParseAttestation>>(env, exports, "parseAttestation");
  InitTpm(env, exports);
}

}  // namespace nomyo::addon
