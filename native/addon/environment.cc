#include "addon/environment.h"

#include <mutex>
#include <utility>

#include "core/threads/executor.h"

namespace nomyo::addon {

// The thread-safe function carries no data of its own: it is the bell, the queue is ours. So a completion is freed in
// one place however the environment ends.
class Environment::Channel final : public Mailbox, public std::enable_shared_from_this<Channel> {
 public:
  void Open(Napi::Env env) {
    napi_value name = Napi::String::New(env, "nomyo-native");
    // The function keeps the channel alive until it is finalized itself.
    auto* self = new std::shared_ptr<Channel>(shared_from_this());
    const napi_status status = napi_create_threadsafe_function(
        env, nullptr, nullptr, name, 0, 1, self,
        [](napi_env, void* data, void*) { delete static_cast<std::shared_ptr<Channel>*>(data); }, this,
        [](napi_env ring_env, napi_value, void* context, void*) {
          if (ring_env != nullptr) static_cast<Channel*>(context)->Drain(ring_env);
        },
        &bell_);
    if (status != napi_ok) {
      delete self;
      bell_ = nullptr;
      Napi::Error::New(env, "nomyo-native could not open its channel to this environment").ThrowAsJavaScriptException();
      return;
    }
    napi_unref_threadsafe_function(env, bell_);
  }

  void Post(std::shared_ptr<Completion> completion) noexcept override {
    std::lock_guard lock(mutex_);
    if (bell_ == nullptr) return;  // the environment has ended: the completion is destroyed
    queue_.Push(std::move(completion));
    if (rung_) return;
    // Should Node have no memory for the bell, the next one to come rings it for both.
    rung_ = napi_call_threadsafe_function(bell_, nullptr, napi_tsfn_nonblocking) == napi_ok;
  }

  void Hold(Napi::Env env, bool hold) {
    if (bell_ == nullptr) return;  // closed; only this thread closes
    if (hold) {
      napi_ref_threadsafe_function(env, bell_);
    } else {
      napi_unref_threadsafe_function(env, bell_);
    }
  }

  // Close is called on the JavaScript thread, before the environment's memory goes: no bell rings afterwards, and all
  // jobs are cancelled. It does not wait for those that run: they end by themselves, soon, and find the box closed.
  void Close() {
    cancellation->Cancel();
    CompletionQueue left;  // destroyed without the lock
    {
      std::lock_guard lock(mutex_);
      left.Swap(queue_);
      if (bell_ != nullptr) napi_release_threadsafe_function(bell_, napi_tsfn_abort);
      bell_ = nullptr;
    }
    Executor::Instance().CancelOwner(static_cast<Mailbox*>(this));
  }

  // Drain settles all that is there. Each leaves the queue before it is settled: nothing that happens meanwhile finds
  // it half gone. While this goes on nobody need ring.
  void Drain(Napi::Env env) noexcept {
    for (;;) {
      std::shared_ptr<Completion> next;
      {
        std::lock_guard lock(mutex_);
        next = queue_.Pop();
        if (next == nullptr) {
          rung_ = false;
          return;
        }
      }
      Napi::HandleScope scope(env);
      next->Settle(env);
    }
  }

  Napi::Env env_for_hold{nullptr};
  const std::shared_ptr<Cancellation> cancellation = std::make_shared<Cancellation>();

 private:
  std::mutex mutex_;
  CompletionQueue queue_;
  bool rung_ = false;  // Drain will come, or is at it
  napi_threadsafe_function bell_ = nullptr;
};

CompletionQueue::~CompletionQueue() {
  // One after the other: a chain that destroys itself would take stack for each.
  while (Pop() != nullptr) {
  }
}

void CompletionQueue::Push(std::shared_ptr<Completion> completion) noexcept {
  Completion* const last = completion.get();
  (last_ == nullptr ? first_ : last_->next_) = std::move(completion);
  last_ = last;
}

std::shared_ptr<Completion> CompletionQueue::Pop() noexcept {
  std::shared_ptr<Completion> first = std::move(first_);
  if (first == nullptr) return nullptr;
  first_ = std::move(first->next_);
  if (first_ == nullptr) last_ = nullptr;
  return first;
}

void CompletionQueue::Swap(CompletionQueue& other) noexcept {
  std::swap(first_, other.first_);
  std::swap(last_, other.last_);
}

void Environment::Attach(Napi::Env env) {
  auto* environment = new Environment;
  environment->channel_ = std::make_shared<Channel>();
  environment->channel_->env_for_hold = env;
  env.SetInstanceData(environment);
  environment->channel_->Open(env);
  // Before the environment goes, no thread may ring its bell any more.
  env.AddCleanupHook([channel = environment->channel_] { channel->Close(); });
}

Environment& Environment::Of(Napi::Env env) {
  return *env.GetInstanceData<Environment>();
}

std::shared_ptr<Mailbox> Environment::mailbox() const {
  return channel_;
}

std::shared_ptr<const Cancellation> Environment::cancellation() const {
  return channel_->cancellation;
}

void Environment::BeginWork() {
  if (under_way_++ == 0) channel_->Hold(channel_->env_for_hold, true);
}

void Environment::EndWork() {
  if (--under_way_ == 0) channel_->Hold(channel_->env_for_hold, false);
}

Environment::~Environment() {
  channel_->Close();
}

}  // namespace nomyo::addon
