// Executor: the package's own few threads, for work whose stack holds secrets (private-key operations, opening).
//
// Not libuv's: four shared threads whose stacks nobody wipes, and which a queue of RSA operations would starve.
#pragma once

#include <atomic>
#include <cstddef>
#include <memory>

#include "core/memory/locking.h"
#include "core/result.h"

namespace nomyo {

// Job is one piece of work. It is run once, or cancelled once, never both.
class Job {
 public:
  virtual ~Job() = default;

  // Run does the work, on a worker thread and on a stack of pool memory (kJobStackBytes) that is wiped afterwards,
  // under the Locking that was given to Submit. The stack is locked where that is possible, under kRequired always;
  // where it is not, work under kPreferred counts as degraded. It must not throw, and must not keep pointers into its
  // stack.
  virtual void Run() noexcept = 0;

  // Finish is called once after Run (`cancelled` false), on the same worker thread but on its ordinary stack, or after
  // a cancellation (`cancelled` true), on the thread that cancelled. It hands the outcome on.
  virtual void Finish(bool cancelled) noexcept = 0;

 private:
  friend class Executor;
  enum class State { kNew, kQueued, kRunning, kDone };
  std::atomic<State> state_{State::kNew};
  Locking locking_ = Locking::kRequired;
};

class Executor {
 public:
  // Instance returns the process-wide executor. It is never destroyed: its threads may outlive every environment.
  static Executor& Instance();

  // SetThreadStart sets what each thread that is started from now on does before its first job, on its ordinary stack:
  // PrepareOpenSsl, which this folder does not know. It must not throw. Any thread; null for nothing, as at first.
  static void SetThreadStart(void (*start)()) noexcept;

  // Submit queues `job`. `owner` (an environment) is served in turn with other owners, so that one that queues a
  // thousand jobs does not hold up another's single one. Threads are started when they are first needed.
  // Errors: kQueueFull; kMemoryLock when no stack can be locked under kRequired, and in a child that fork() made;
  // kOutOfMemory when no thread can be started. On an error neither Run nor Finish is called. Any thread.
  Status Submit(std::shared_ptr<Job> job, Locking locking, const void* owner);

  // Cancel takes a job that has not started out of the queue and calls Finish(true); returns false, and does nothing,
  // when it is already running or done. Any thread.
  bool Cancel(const std::shared_ptr<Job>& job);

  // CancelOwner does the same for all jobs of one owner that have not started, in their order. Any thread.
  void CancelOwner(const void* owner);

  // SetThreadLimit chooses the largest number of threads (1 to 64), for good: the same again does nothing. By default
  // it is UsableProcessors(), or fewer where their stacks would take more than a quarter of what may be locked; of a
  // chosen number no more start than have room for their stacks in a half. Errors,
  // on which nothing changes: kInvalidArgument when it is no such number, when another was chosen before, and when more
  // threads have started already (a thread never ends); kMemoryLock in a child that fork() made; kOutOfMemory. Any
  // thread.
  Status SetThreadLimit(std::size_t threads);

  struct Stats {
    std::size_t threads;  // started so far
    std::size_t thread_limit;
    bool thread_limit_chosen;  // by SetThreadLimit
    std::size_t queued;
    std::size_t running;
  };
  Stats stats() const;

  Executor(const Executor&) = delete;
  Executor& operator=(const Executor&) = delete;

 private:
  Executor();
  ~Executor() = delete;
  struct Impl;
  Impl* impl_;
};

}  // namespace nomyo
