// PromiseJob: one asynchronous call. Arguments are checked and copied into the job on the JavaScript thread, Work runs
// on the package's own threads, Resolve runs on the JavaScript thread again and settles the promise.
#pragma once

#include <memory>
#include <optional>

#include <napi.h>

#include "core/cancellation.h"
#include "core/memory/lock_policy.h"
#include "core/result.h"
#include "core/threads/executor.h"

namespace nomyo::addon {

// A job is destroyed on the JavaScript thread when its promise was settled, and on any thread when its environment has
// ended meanwhile. So it must hold nothing of Node-API's that destruction releases. Nor may it read memory that
// JavaScript can reach: what a job needs is copied into it first (ReadUint8Array says why).
class PromiseJob {
 public:
  virtual ~PromiseJob() = default;

  // Work does the job on a worker thread, on a wiped stack. No Node-API in here. It keeps its outcome in the job. What
  // takes long looks at cancellation() on the way.
  virtual Status Work() = 0;

  // Resolve makes the value of the promise, on the JavaScript thread, only after Work succeeded. A pending exception
  // rejects the promise.
  virtual Napi::Value Resolve(Napi::Env env) = 0;

  // Whether the event loop stays alive for this job. Work that was begun ahead of need must not keep a process alive.
  virtual bool HoldsLoop() const { return true; }

  // cancellation is cancelled when nobody wants the outcome any more: by a CancelToken, or with the environment. It is
  // there from Start on.
  const Cancellation* cancellation() const { return cancellation_.get(); }

 private:
  friend Napi::Value Start(Napi::Env env, std::unique_ptr<PromiseJob> job, LockPolicy policy, napi_value cancel_token);
  std::shared_ptr<Cancellation> cancellation_;
};

// CancelToken lets JavaScript cancel a job: one that waits is taken out of the queue at once, one that runs ends at its
// next look at its Cancellation. Either way its outcome is dropped, unless it was ready before.
class CancelToken {
 public:
  // Cancel cancels the job it was given to, or the one that it will be given to.
  void Cancel();
  bool cancelled() const { return cancelled_; }
  void Bind(const std::shared_ptr<Job>& job, std::shared_ptr<Cancellation> cancellation);

 private:
  bool cancelled_ = false;
  std::weak_ptr<Job> job_;
  std::shared_ptr<Cancellation> cancellation_;
};

// Start queues `job` and returns its promise. A full queue, or a stack that cannot be locked, rejects it.
Napi::Value Start(Napi::Env env, std::unique_ptr<PromiseJob> job, LockPolicy policy, napi_value cancel_token = nullptr);

// GetLockPolicy reads the strings 'required', 'preferred', 'off'; otherwise a TypeError is pending.
std::optional<LockPolicy> GetLockPolicy(Napi::Env env, napi_value value);

void InitJob(Napi::Env env, Napi::Object exports);

}  // namespace nomyo::addon
