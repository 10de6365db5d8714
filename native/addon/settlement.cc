#include "addon/settlement.h"

#include "addon/error.h"

namespace nomyo::addon {

std::shared_ptr<Settlement> Settlement::Begin(Napi::Env env, std::shared_ptr<AsyncJob> job) {
  Environment& environment = Environment::Of(env);
  auto settlement = std::make_shared<Settlement>(std::move(job), environment.mailbox());
  // Last: a promise that nobody settles would stay.
  if (napi_create_promise(env, &settlement->deferred_, &settlement->promise_) != napi_ok) {
    if (!env.IsExceptionPending()) Throw(env, Error{Code::kOutOfMemory, "A promise could not be made."});
    return nullptr;
  }
  if (settlement->job_->HoldsLoop()) environment.BeginWork();
  return settlement;
}

void Settlement::Finish(Status status) noexcept {
  if (finished_.exchange(true)) return;
  status_ = std::move(status);
  mailbox_->Post(shared_from_this());
}

void Settlement::Refuse(Napi::Env env, Status status) noexcept {
  if (finished_.exchange(true)) return;
  status_ = std::move(status);
  Settle(env);
}

// The value of the promise; null when it is to be rejected: with the pending exception, or with `status_`.
napi_value Settlement::Outcome(Napi::Env env) {
  if (!status_) return nullptr;
  const napi_value value = job_->Resolve(env);
  return env.IsExceptionPending() ? nullptr : value;
}

// The reason of a rejection; null when the promise is to be fulfilled.
napi_value Settlement::Reason(Napi::Env env) {
  if (env.IsExceptionPending()) return env.GetAndClearPendingException().Value();
  return status_ ? nullptr : static_cast<napi_value>(MakeError(env, status_.error()).Value());
}

// Node calls this from C: no exception may pass.
void Settlement::Settle(Napi::Env env) noexcept {
  napi_value value = nullptr;
  napi_value reason = nullptr;
  bool failed = false;
  try {
    value = Outcome(env);
    reason = Reason(env);
    failed = reason != nullptr;
  } catch (...) {
    failed = true;
    if (env.IsExceptionPending()) napi_get_and_clear_last_exception(env, &reason);
    reason = OutOfMemoryValue(env);
  }
  if (failed) {
    if (reason == nullptr) napi_get_undefined(env, &reason);
    napi_reject_deferred(env, deferred_, reason);
  } else {
    napi_resolve_deferred(env, deferred_, value);
  }
  if (job_->HoldsLoop()) Environment::Of(env).EndWork();
  // What the job holds is given up here, where its environment still is.
  job_.reset();
}

}  // namespace nomyo::addon
