#include "addon/echo.h"

#include <memory>
#include <utility>

#include "addon/argument.h"
#include "addon/error.h"
#include "addon/function.h"
#include "addon/job.h"
#include "addon/property.h"
#include "addon/secure_buffer_handle.h"
#include "core/echo/answer.h"

namespace nomyo::addon {
namespace {

class EchoJob final : public PromiseJob {
 public:
  EchoJob(std::shared_ptr<SecureBuffer> request, std::size_t length, const EchoOptions& options)
      : request_(std::move(request)), length_(length), options_(options) {}

  Status Work() override {
    auto answer = EchoAnswer(std::as_const(*request_).bytes().first(length_), options_, cancellation());
    request_.reset();
    if (!answer) return answer.error();
    answer_ = std::move(*answer);
    return Status::Ok();
  }

  Napi::Value Resolve(Napi::Env env) override {
    Napi::Object result = Napi::Object::New(env);
    result.Set("length", Napi::Number::New(env, static_cast<double>(answer_.length)));
    result.Set("buffer", NewBufferHandle(env, std::move(answer_.memory)));
    return result;
  }

 private:
  // Not a copy, as scanObject's is none: no view is out when the job starts, and EchoAnswer bears a writer.
  std::shared_ptr<SecureBuffer> request_;
  std::size_t length_;
  EchoOptions options_;
  EchoedAnswer answer_;
};

Napi::Value Echo(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  if (!info[2].IsObject()) return ThrowTypeError(env, "expected options");
  const auto created = GetWholeProperty(env, info[2], "created", 0, kMostWhole, "expected unix seconds");
  if (!created) return env.Undefined();
  const auto max_bytes = GetWholeProperty(env, info[2], "maxBytes", 0, kMostWhole, "expected a limit");
  if (!max_bytes) return env.Undefined();
  const auto max_depth = GetWholeProperty(env, info[2], "maxDepth", 1, kMostDepth, "expected a depth limit");
  if (!max_depth) return env.Undefined();
  const auto room = GetWholeProperty(env, info[2], "room", 0, kMostWhole, "expected a number of bytes");
  if (!room) return env.Undefined();
  const auto locking = GetLocking(env, info[3]);
  if (!locking) return env.Undefined();
  auto request = GetUnviewedBuffer(env, info[0]);
  if (!request) return env.Undefined();
  const auto length = GetWhole(env, info[1], 0, request->size(), "expected a length in the buffer");
  if (!length) return env.Undefined();
  const EchoOptions options{static_cast<std::int64_t>(*created), *max_bytes, *max_depth, *room};
  return Start(env, std::make_shared<EchoJob>(std::move(request), *length, options), *locking, info[4]);
}

}  // namespace

void InitEcho(Napi::Env env, Napi::Object exports) {
  Export<Echo>(env, exports, "echo");
}

}  // namespace nomyo::addon
