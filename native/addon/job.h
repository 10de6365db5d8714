// PromiseJob: one asynchronous call. Arguments are checked and copied into the job on the JavaScript thread, Work runs
// on the package's own threads, Resolve runs on the JavaScript thread again and settles the promise.
#pragma once

#include <memory>

#include <napi.h>

#include "addon/settlement.h"
#include "core/cancellation.h"
#include "core/memory/locking.h"
#include "core/result.h"
#include "core/threads/executor.h"

namespace nomyo::addon {

// Its life is AsyncJob's.
class PromiseJob : public AsyncJob {
 public:
  // Work does the job on a worker thread, on a wiped stack. No Node-API in here. It keeps its outcome in the job. What
  // takes long looks at cancellation() on the way. It may throw: std::bad_alloc becomes OUT_OF_MEMORY.
  virtual Status Work() = 0;

  // cancellation is cancelled when nobody wants the outcome any more: by a CancelToken, or with the environment. It is
  // there from Start on.
  const Cancellation* cancellation() const { return cancellation_.get(); }

 private:
  friend Napi::Value Start(Napi::Env env, std::shared_ptr<PromiseJob> job, Locking locking, napi_value cancel_token);
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
Napi::Value Start(Napi::Env env, std::shared_ptr<PromiseJob> job, Locking locking, napi_value cancel_token = nullptr);

void InitJob(Napi::Env env, Napi::Object exports);

}  // namespace nomyo::addon
