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

Error Cancelled() {
  return {Code::kCancelled, "The work was cancelled."};
}

class QueuedJob final : public Job {
 public:
  QueuedJob(std::shared_ptr<PromiseJob> job, std::shared_ptr<Settlement> settlement,
            std::shared_ptr<const Cancellation> cancellation)
      : job_(std::move(job)), settlement_(std::move(settlement)), cancellation_(std::move(cancellation)) {}

  void Run() noexcept override {
    // It was taken out of the queue just before it could be cancelled there.
    if (cancellation_->cancelled()) return;
    try {
      status_ = job_->Work();
    } catch (const std::bad_alloc&) {
      status_ = OutOfMemory();
    } catch (...) {
      status_ = ErrorWithoutThrow(Code::kCrypto, "The work failed inside the addon.");
    }
  }

  void Finish(bool cancelled) noexcept override {
    if (cancelled || cancellation_->cancelled()) status_ = std::move(cancelled_);
    job_.reset();
    settlement_->Finish(std::move(status_));
  }

 private:
  std::shared_ptr<PromiseJob> job_;
  std::shared_ptr<Settlement> settlement_;
  std::shared_ptr<const Cancellation> cancellation_;
  Status status_;
  // Made here, since where it is needed nothing may be thrown for want of memory.
  Status cancelled_ = Cancelled();
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

Napi::Value Start(Napi::Env env, std::shared_ptr<PromiseJob> job, Locking locking, napi_value cancel_token) {
  std::shared_ptr<CancelToken> token;
  napi_valuetype type = napi_undefined;
  if (cancel_token != nullptr) napi_typeof(env, cancel_token, &type);
  if (type != napi_undefined) {
    token = GetHandle<CancelToken>(env, cancel_token);
    if (!token) return env.Undefined();
  }
  Environment& environment = Environment::Of(env);
  auto cancellation = std::make_shared<Cancellation>(environment.cancellation());
  job->cancellation_ = cancellation;
  const auto settlement = Settlement::Begin(env, job);
  if (settlement == nullptr) return env.Undefined();
  // From here on the promise is settled, whatever happens.
  Status status = Status::Ok();
  try {
    auto queued = std::make_shared<QueuedJob>(std::move(job), settlement, cancellation);
    if (token && token->cancelled()) {
      status = Cancelled();
    } else {
      if (token) token->Bind(queued, std::move(cancellation));
      status = Executor::Instance().Submit(std::move(queued), locking, environment.mailbox().get());
    }
  } catch (const std::bad_alloc&) {
    status = OutOfMemory();
  }
  const Napi::Value promise = settlement->promise(env);
  if (!status) settlement->Refuse(env, std::move(status));
  return promise;
}

void InitJob(Napi::Env env, Napi::Object exports) {
  Export<CreateCancelToken>(env, exports, "createCancelToken");
  Export<Cancel>(env, exports, "cancel");
}

}  // namespace nomyo::addon
