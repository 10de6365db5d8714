#include "addon/attestation.h"

#include <string>
#include <utility>

#include "addon/argument.h"
#include "addon/error.h"
#include "addon/function.h"
#include "addon/job.h"
#include "addon/tpm.h"
#include "addon/uint8_array.h"
#include "core/attestation/inspection.h"
#include "core/attestation/policy.h"
#include "core/attestation/tpm_verify_engine.h"
#include "core/attestation/verifier.h"

namespace nomyo::addon {
namespace {

struct Verification {
  std::string block;
  Bytes qualifying_data;
  std::string policy;
  std::string report_json;

  Status Run(SignatureEngine* engine) {
    const Result<Policy> read = ReadPolicy(policy);
    if (!read) return read.error();
    const Result<Report> report = VerifyAttestation(block, qualifying_data, read.value(), engine);
    if (!report) return report.error();
    report_json = ReportJson(report.value());
    return Status::Ok();
  }
};

// Offline: with our own libcrypto, on the package's own threads.
class OfflineJob final : public PromiseJob {
 public:
  explicit OfflineJob(Verification verification) : verification_(std::move(verification)) {}
  Status Work() override { return verification_.Run(nullptr); }
  Napi::Value Resolve(Napi::Env env) override { return Napi::String::New(env, verification_.report_json); }

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
  Napi::Value Resolve(Napi::Env env) override { return Napi::String::New(env, verification_.report_json); }

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
  Verification verification{.block = info[0].As<Napi::String>().Utf8Value(),
                            .qualifying_data = Bytes(qualifying_data->begin(), qualifying_data->end()),
                            .policy = info[2].As<Napi::String>().Utf8Value(),
                            .report_json = {}};
  if (info[3].IsString()) {
    auto device = SharedTpm(info[3].As<Napi::String>().Utf8Value());
    if (!device) return Throw(env, device.error());
    return StartOnTpm(env, std::move(device).value(), std::make_shared<TpmVerifyJob>(std::move(verification)));
  }
  // A quote holds no secret, so nothing of this job needs to be locked.
  return Start(env, std::make_shared<OfflineJob>(std::move(verification)), LockPolicy::kPublic);
}

Napi::Value ParseAttestation(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  if (!info[0].IsString()) return ThrowTypeError(env, "block must be a string of JSON");
  const LockPolicyScope scope(LockPolicy::kPublic);
  const Result<std::string> text = InspectAttestation(info[0].As<Napi::String>().Utf8Value());
  if (!text) return Throw(env, text.error());
  return Napi::String::New(env, text.value());
}

}  // namespace

void InitAttestation(Napi::Env env, Napi::Object exports) {
  Export<VerifyAttestationBlock>(env, exports, "verifyAttestation");
  Export<Prepared<ParseAttestation>>(env, exports, "parseAttestation");
  InitTpm(env, exports);
}

}  // namespace nomyo::addon
