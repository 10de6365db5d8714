// PromiseJob: one asynchronous call. Arguments are checked and copied into the job on the JavaScript thread, Work runs
// on the package's own threads, Resolve runs on the JavaScript thread again and settles the promise.
#pragma once

#include <memory>
#include <optional>

#include <napi.h>

#include "core/memory/lock_policy.h"
#include "core/result.h"
#include "core/threads/executor.h"

namespace nomyo::addon {

// A job is destroyed on the JavaScript thread when its promise was settled, and on any thread when its environment has
// ended meanwhile. So it must not release anything of Node-API's by destruction then, nor read memory of JavaScript's
// that may be gone (OpenJob in envelope.cc shows how both are done).
class PromiseJob {
 public:
  virtual ~PromiseJob() = default;

  // Work does the job on a worker thread, on a wiped stack. No Node-API in here. It keeps its outcome in the job.
  virtual Status Work() = 0;

  // Resolve makes the value of the promise, on the JavaScript thread, only after Work succeeded. A pending exception
  // rejects the promise.
  virtual Napi::Value Resolve(Napi::Env env) = 0;

  // Whether the event loop stays alive for this job. Work that was begun ahead of need must not keep a process alive.
  virtual bool HoldsLoop() const { return true; }
};

// CancelToken lets JavaScript take a job out of the queue before it starts (a job that runs is not interrupted).
class CancelToken {
 public:
  // Cancel cancels the job it was given to, or the one that it will be given to.
  void Cancel();
  bool cancelled() const { return cancelled_; }
  void Bind(const std::shared_ptr<Job>& job);

 private:
  bool cancelled_ = false;
  std::weak_ptr<Job> job_;
};

// Start queues `job` and returns its promise. A full queue, or a stack that cannot be locked, rejects it.
Napi::Value Start(Napi::Env env, std::unique_ptr<PromiseJob> job, LockPolicy policy, napi_value cancel_token = nullptr);

// GetLockPolicy reads the strings 'required', 'preferred', 'off'; otherwise a TypeError is pending.
std::optional<LockPolicy> GetLockPolicy(Napi::Env env, napi_value value);

void InitJob(Napi::Env env, Napi::Object exports);

}  // namespace nomyo::addon
