#include "addon/job.h"

#include <new>
#include <string>
#include <utility>

#include "addon/environment.h"
#include "addon/error.h"
#include "addon/function.h"
#include "addon/handle.h"

namespace nomyo::addon {

template <>
struct HandleTag<CancelToken> {
  static constexpr napi_type_tag value = {0x6d1f0e53c2b74a19, 0x9b3c57aa04e8d261};
  static constexpr const char* name = "a cancel token";
};

namespace {

// Settlement carries a finished job back. It owns the deferred: settled here, or dropped with the environment.
class Settlement final : public Completion {
 public:
  Settlement(napi_deferred deferred, std::unique_ptr<PromiseJob> job, Status status)
      : deferred_(deferred), job_(std::move(job)), status_(std::move(status)) {}

  void Settle(Napi::Env env) override {
    napi_value value = nullptr;
    try {
      if (status_) value = job_->Resolve(env);
    } catch (...) {
      status_ = Error{Code::kOutOfMemory, "The system has no memory to give for the result."};
    }
    if (env.IsExceptionPending()) {
      napi_reject_deferred(env, deferred_, env.GetAndClearPendingException().Value());
    } else if (!status_) {
      napi_reject_deferred(env, deferred_, MakeError(env, status_.error()).Value());
    } else {
      napi_resolve_deferred(env, deferred_, value);
    }
    if (job_->HoldsLoop()) Environment::Of(env).EndWork();
  }

 private:
  napi_deferred deferred_;
  std::unique_ptr<PromiseJob> job_;
  Status status_;
};

Error Cancelled() {
  return {Code::kCancelled, "The work was cancelled."};
}

class QueuedJob final : public Job {
 public:
  QueuedJob(std::unique_ptr<PromiseJob> job, napi_deferred deferred, std::shared_ptr<Mailbox> mailbox,
            std::shared_ptr<const Cancellation> cancellation)
      : job_(std::move(job)),
        deferred_(deferred),
        mailbox_(std::move(mailbox)),
        cancellation_(std::move(cancellation)) {}

  void Run() noexcept override {
    // It was taken out of the queue just before it could be cancelled there.
    if (cancellation_->cancelled()) return;
    try {
      status_ = job_->Work();
    } catch (const std::bad_alloc&) {
      status_ = Error{Code::kOutOfMemory, "The system has no memory to give."};
    } catch (...) {
      status_ = Error{Code::kCrypto, "The work failed inside the addon."};
    }
  }

  void Finish(bool cancelled) noexcept override {
    if (cancelled || cancellation_->cancelled()) status_ = Cancelled();
    mailbox_->Post(std::make_unique<Settlement>(deferred_, std::move(job_), std::move(status_)));
  }

 private:
  std::unique_ptr<PromiseJob> job_;
  napi_deferred deferred_;
  std::shared_ptr<Mailbox> mailbox_;
  std::shared_ptr<const Cancellation> cancellation_;
  Status status_;
};

Napi::Value CreateCancelToken(const Napi::CallbackInfo& info) {
  return NewHandle(info.Env(), std::make_shared<CancelToken>());
}

Napi::Value Cancel(const Napi::CallbackInfo& info) {
  auto token = GetHandle<CancelToken>(info.Env(), info[0]);
  if (token) token->Cancel();
  return info.Env().Undefined();
}

}  // namespace

void CancelToken::Cancel() {
  cancelled_ = true;
  if (cancellation_) cancellation_->Cancel();
  if (auto job = job_.lock()) Executor::Instance().Cancel(job);
}

void CancelToken::Bind(const std::shared_ptr<Job>& job, std::shared_ptr<Cancellation> cancellation) {
  job_ = job;
  cancellation_ = std::move(cancellation);
}

Napi::Value Start(Napi::Env env, std::unique_ptr<PromiseJob> job, LockPolicy policy, napi_value cancel_token) {
  std::shared_ptr<CancelToken> token;
  napi_valuetype type = napi_undefined;
  if (cancel_token != nullptr) napi_typeof(env, cancel_token, &type);
  if (type != napi_undefined) {
    token = GetHandle<CancelToken>(env, cancel_token);
    if (!token) return env.Undefined();
  }
  napi_deferred deferred = nullptr;
  napi_value promise = nullptr;
  if (napi_create_promise(env, &deferred, &promise) != napi_ok) {
    return Throw(env, Error{Code::kOutOfMemory, "A promise could not be made."});
  }
  if (token && token->cancelled()) {
    napi_reject_deferred(env, deferred, MakeError(env, Cancelled()).Value());
    return {env, promise};
  }
  Environment& environment = Environment::Of(env);
  const auto mailbox = environment.mailbox();
  const bool holds_loop = job->HoldsLoop();
  auto cancellation = std::make_shared<Cancellation>(environment.cancellation());
  job->cancellation_ = cancellation;
  auto queued = std::make_shared<QueuedJob>(std::move(job), deferred, mailbox, cancellation);
  if (token) token->Bind(queued, std::move(cancellation));
  if (holds_loop) environment.BeginWork();
  Status status = Status::Ok();
  try {
    status = Executor::Instance().Submit(queued, policy, mailbox.get());
  } catch (const std::bad_alloc&) {
    status = Error{Code::kOutOfMemory, "The system has no memory to give."};
  }
  if (!status) {
    if (holds_loop) environment.EndWork();
    napi_reject_deferred(env, deferred, MakeError(env, status.error()).Value());
  }
  return {env, promise};
}

std::optional<LockPolicy> GetLockPolicy(Napi::Env env, napi_value value) {
  const Napi::Value given(env, value);
  if (given.IsString()) {
    const std::string name = given.As<Napi::String>();
    if (name == "required") return LockPolicy::kRequired;
    if (name == "preferred") return LockPolicy::kPreferred;
    if (name == "off") return LockPolicy::kOff;
  }
  Napi::TypeError::New(env, "expected 'required', 'preferred' or 'off'").ThrowAsJavaScriptException();
  return std::nullopt;
}

void InitJob(Napi::Env env, Napi::Object exports) {
  Export<CreateCancelToken>(env, exports, "createCancelToken");
  Export<Cancel>(env, exports, "cancel");
}

}  // namespace nomyo::addon
