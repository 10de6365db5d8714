// Environment: what one JavaScript environment (the main thread, or one worker) owns, and the way back to its thread.
#pragma once

#include <cstddef>
#include <memory>

#include <napi.h>

#include "core/cancellation.h"

namespace nomyo::addon {

// Completion is settled on the JavaScript thread, once. If the environment ends first it is destroyed unsettled, on
// any thread: it must not own anything of Node-API's that is released by destruction.
class Completion {
 public:
  virtual ~Completion() = default;
  // Settle must not throw: Node calls it from C.
  virtual void Settle(Napi::Env env) noexcept = 0;

 private:
  friend class CompletionQueue;
  std::shared_ptr<Completion> next_;
};

// CompletionQueue: completions in their order, linked through themselves, so that none is ever lost for want of memory.
class CompletionQueue {
 public:
  CompletionQueue() = default;
  ~CompletionQueue();
  CompletionQueue(const CompletionQueue&) = delete;
  CompletionQueue& operator=(const CompletionQueue&) = delete;

  void Push(std::shared_ptr<Completion> completion) noexcept;
  // Pop returns the first, or null.
  std::shared_ptr<Completion> Pop() noexcept;
  void Swap(CompletionQueue& other) noexcept;

 private:
  std::shared_ptr<Completion> first_;
  Completion* last_ = nullptr;
};

// Mailbox takes completions from any thread to one environment's JavaScript thread. It outlives the environment, so
// that a job which ends after a worker was terminated finds it closed instead of finding freed memory.
class Mailbox {
 public:
  virtual ~Mailbox() = default;
  // Post hands a completion over, once; after the environment's end it does nothing. Any thread. Allocates nothing of
  // its own.
  virtual void Post(std::shared_ptr<Completion> completion) noexcept = 0;
};

class Environment {
 public:
  // Attach makes the state of `env`; called once, when the addon is loaded into it.
  static void Attach(Napi::Env env);
  static Environment& Of(Napi::Env env);

  std::shared_ptr<Mailbox> mailbox() const;

  // cancellation is cancelled when the environment ends. It outlives it, too.
  std::shared_ptr<const Cancellation> cancellation() const;

  // While work is under way the environment's event loop stays alive. JavaScript thread only, in pairs.
  void BeginWork();
  void EndWork();

  ~Environment();

 private:
  Environment() = default;
  class Channel;
  std::shared_ptr<Channel> channel_;
  std::size_t under_way_ = 0;
};

}  // namespace nomyo::addon
