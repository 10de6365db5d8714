#include "addon/chat_events.h"

#include <memory>
#include <string>
#include <utility>

#include "addon/argument.h"
#include "addon/error.h"
#include "addon/function.h"
#include "addon/job.h"
#include "addon/property.h"
#include "addon/secure_buffer_handle.h"
#include "core/json/chat_events.h"

namespace nomyo::addon {
namespace {

class ChatEventsJob final : public PromiseJob {
 public:
  ChatEventsJob(std::shared_ptr<SecureBuffer> answer, std::string metadata, ChatEventsOptions options)
      : answer_(std::move(answer)), metadata_(std::move(metadata)), options_(options) {
    options_.metadata = metadata_;
  }

  Status Work() override {
    auto events = ComposeChatEvents(std::as_const(*answer_).bytes(), options_, cancellation());
    if (!events) return events.error();
    events_ = std::move(*events);
    return Status::Ok();
  }

  Napi::Value Resolve(Napi::Env env) override { return NewBufferHandle(env, std::move(events_)); }

 private:
  // Not a copy: an answer may have 64 MiB. No view is out when the job starts, and should JavaScript take one
  // meanwhile, ComposeChatEvents bears a writer.
  std::shared_ptr<SecureBuffer> answer_;
  std::string metadata_;
  ChatEventsOptions options_;
  SecureBuffer events_;
};

Napi::Value ComposeEvents(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  if (!info[1].IsObject()) return ThrowTypeError(env, "expected how the events are to be");
  const auto metadata = GetProperty(env, info[1], "metadata");
  if (!metadata) return env.Undefined();
  const auto usage = GetProperty(env, info[1], "includeUsage");
  if (!usage) return env.Undefined();
  if (!metadata->IsString() || !usage->IsBoolean()) return ThrowTypeError(env, "expected how the events are to be");
  const auto depth = GetWholeProperty(env, info[1], "maxDepth", 1, kMostDepth, "expected a depth limit");
  if (!depth) return env.Undefined();
  const auto limit = GetWholeProperty(env, info[1], "maxBytes", 0, kMostWhole, "expected a size limit");
  if (!limit) return env.Undefined();
  const auto locking = GetLocking(env, info[2]);
  if (!locking) return env.Undefined();
  auto answer = GetUnviewedBuffer(env, info[0]);
  if (!answer) return env.Undefined();
  ChatEventsOptions options;
  options.include_usage = usage->As<Napi::Boolean>().Value();
  options.max_depth = *depth;
  options.limit = *limit;
  auto job = std::make_shared<ChatEventsJob>(std::move(answer), metadata->As<Napi::String>().Utf8Value(), options);
  return Start(env, std::move(job), *locking, info[3]);
}

}  // namespace

void InitChatEvents(Napi::Env env, Napi::Object exports) {
  Export<ComposeEvents>(env, exports, "composeChatEvents");
}

}  // namespace nomyo::addon
