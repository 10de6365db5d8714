#include "addon/attestation.h"

#include <string>
#include <utility>

#include "addon/error.h"
#include "addon/function.h"
#include "addon/job.h"
#include "core/attestation/inspection.h"
#include "core/attestation/policy.h"
#include "core/attestation/tss_mu.h"
#include "core/attestation/verifier.h"

namespace nomyo::addon {
namespace {

Napi::Value ThrowTypeError(Napi::Env env, const char* message) {
  Napi::TypeError::New(env, message).ThrowAsJavaScriptException();
  return env.Undefined();
}

class VerifyJob final : public PromiseJob {
 public:
  VerifyJob(std::string block, Bytes qualifying_data, std::string policy)
      : block_(std::move(block)), qualifying_data_(std::move(qualifying_data)), policy_(std::move(policy)) {}

  Status Work() override {
    const Result<Policy> policy = ReadPolicy(policy_);
    if (!policy) return policy.error();
    const Result<Report> report = VerifyAttestation(block_, qualifying_data_, policy.value(), nullptr);
    if (!report) return report.error();
    report_json_ = ReportJson(report.value());
    return Status::Ok();
  }

  Napi::Value Resolve(Napi::Env env) override { return Napi::String::New(env, report_json_); }

 private:
  std::string block_;
  Bytes qualifying_data_;
  std::string policy_;
  std::string report_json_;
};

Napi::Value VerifyAttestationBlock(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  if (!info[0].IsString()) return ThrowTypeError(env, "block must be a string of JSON");
  if (!info[1].IsTypedArray() || info[1].As<Napi::TypedArray>().TypedArrayType() != napi_uint8_array) {
    return ThrowTypeError(env, "qualifyingData must be a Uint8Array");
  }
  if (!info[2].IsString()) return ThrowTypeError(env, "policyJson must be a string of JSON");
  if (!info[3].IsNull() && !info[3].IsString()) return ThrowTypeError(env, "engineTcti must be a string or null");
  const auto qualifying_data = info[1].As<Napi::Uint8Array>();
  SilenceTss();
  auto job =
      std::make_unique<VerifyJob>(info[0].As<Napi::String>().Utf8Value(),
                                  Bytes(qualifying_data.Data(), qualifying_data.Data() + qualifying_data.ByteLength()),
                                  info[2].As<Napi::String>().Utf8Value());
  // A quote holds no secret, so nothing of this job needs to be locked.
  return Start(env, std::move(job), LockPolicy::kOff);
}

Napi::Value ParseAttestation(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  if (!info[0].IsString()) return ThrowTypeError(env, "block must be a string of JSON");
  SilenceTss();
  const LockPolicyScope unlocked(LockPolicy::kOff);
  const Result<std::string> text = InspectAttestation(info[0].As<Napi::String>().Utf8Value());
  if (!text) return Throw(env, text.error());
  return Napi::String::New(env, text.value());
}

}  // namespace

void InitAttestation(Napi::Env env, Napi::Object exports) {
  Export<VerifyAttestationBlock>(env, exports, "verifyAttestation");
  Export<ParseAttestation>(env, exports, "parseAttestation");
}

}  // namespace nomyo::addon
