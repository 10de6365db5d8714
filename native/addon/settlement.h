// AsyncJob and Settlement: a promise, the work that it stands for, and the way its outcome takes back to JavaScript.
// One for both kinds of job: the package's own threads' (addon/job.h) and a TPM's (addon/tpm.h).
#pragma once

#include <atomic>
#include <memory>
#include <utility>

#include <napi.h>

#include "addon/environment.h"
#include "core/result.h"

namespace nomyo::addon {

// AsyncJob is what both kinds have in common. It is destroyed on the JavaScript thread when its promise was settled,
// and on any thread when its environment has ended meanwhile, or a TPM has outlasted its time limit. So it must hold
// nothing of Node-API's that destruction releases. Nor may it read memory that JavaScript can reach: what a job needs
// is copied into it first (ReadUint8Array says why).
class AsyncJob {
 public:
  virtual ~AsyncJob() = default;

  // Resolve makes the value of the promise, on the JavaScript thread, only after the work succeeded. A pending
  // exception rejects the promise. It may throw; that becomes OUT_OF_MEMORY.
  virtual Napi::Value Resolve(Napi::Env env) = 0;

  // Whether the event loop stays alive for this job. Work that was begun ahead of need must not keep a process alive.
  virtual bool HoldsLoop() const { return true; }
};

// Settlement settles one promise, once. All that this takes is allocated by Begin, on the JavaScript thread, where a
// lack of memory is an exception like any other: a thread that has just ended its work could tell nobody of it.
class Settlement final : public Completion, public std::enable_shared_from_this<Settlement> {
 public:
  // Begin makes a promise for `job`, and keeps the event loop alive until it is settled if the job says so. Null with
  // an exception pending on failure. JavaScript thread.
  static std::shared_ptr<Settlement> Begin(Napi::Env env, std::shared_ptr<AsyncJob> job);

  Napi::Value promise(Napi::Env env) const { return {env, promise_}; }

  // Finish hands the outcome over; the first of several counts. Any thread. Allocates nothing and throws nothing. After
  // the environment's end it does nothing.
  void Finish(Status status) noexcept;

  // Refuse rejects the promise at once, for work that was never begun. JavaScript thread, in Begin's call.
  void Refuse(Napi::Env env, Status status) noexcept;

  void Settle(Napi::Env env) noexcept override;

  Settlement(std::shared_ptr<AsyncJob> job, std::shared_ptr<Mailbox> mailbox)
      : job_(std::move(job)), mailbox_(std::move(mailbox)) {}

 private:
  napi_value Outcome(Napi::Env env);
  napi_value Reason(Napi::Env env);

  std::shared_ptr<AsyncJob> job_;
  std::shared_ptr<Mailbox> mailbox_;
  napi_deferred deferred_ = nullptr;
  napi_value promise_ = nullptr;  // for as long as Begin's call lasts
  std::atomic<bool> finished_{false};
  Status status_;
};

}  // namespace nomyo::addon
