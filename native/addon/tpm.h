// The addon's functions that talk to a TPM; lib/native.ts documents them. And the way for others to run a job on one.
#pragma once

#include <memory>
#include <string>

#include <napi.h>

#include "addon/settlement.h"
#include "core/result.h"
#include "core/tpm/connection.h"
#include "core/tpm/device.h"

namespace nomyo::addon {

// TpmJob is one asynchronous call whose work is done on a TPM's own thread. Work may be run twice (TpmDevice::Work),
// and may outlast its promise when the TPM does not answer. Its life is AsyncJob's.
class TpmJob : public AsyncJob {
 public:
  // Work does the job and keeps its outcome in it; an error is what the promise rejects with. No Node-API in here.
  virtual Status Work(TpmConnection& tpm) = 0;
};

// StartOnTpm queues `job` on `device` and returns its promise; the device lives until the job is through.
Napi::Value StartOnTpm(Napi::Env env, std::shared_ptr<TpmDevice> device, std::shared_ptr<TpmJob> job);

// SharedTpm returns the process's device for a TCTI string, which lives as long as someone holds it: jobs that come
// while others are under way share its connection. Error: kOutOfMemory.
Result<std::shared_ptr<TpmDevice>> SharedTpm(const std::string& tcti);

void InitTpm(Napi::Env env, Napi::Object exports);

}  // namespace nomyo::addon
