// Environment: what one JavaScript environment (the main thread, or one worker) owns, and the way back to its thread.
#pragma once

#include <memory>

#include <napi.h>

#include "core/cancellation.h"

namespace nomyo::addon {

// Completion is settled on the JavaScript thread, once. If the environment ends first it is destroyed unsettled, on
// any thread: it must not own anything of Node-API's that is released by destruction.
class Completion {
 public:
  virtual ~Completion() = default;
  virtual void Settle(Napi::Env env) = 0;
};

// Mailbox takes completions from any thread to one environment's JavaScript thread. It outlives the environment, so
// that a job which ends after a worker was terminated finds it closed instead of finding freed memory.
class Mailbox {
 public:
  virtual ~Mailbox() = default;
  // Post hands a completion over. Any thread.
  virtual void Post(std::unique_ptr<Completion> completion) = 0;
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
