#include "core/threads/executor.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <list>
#include <mutex>
#include <new>
#include <optional>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "core/memory/fork_guard.h"
#include "core/memory/locked_pool.h"
#include "core/memory/openssl_memory.h"
#include "core/memory/stack_wipe.h"
#include "core/threads/job_stack.h"
#include "core/threads/processors.h"
#include "core/threads/scheduling.h"
#include "core/threads/signals_blocked.h"

namespace nomyo {
namespace {

// Enough for any burst that a server's callers make; beyond it the caller must hear that it is too much.
constexpr std::size_t kQueueLimit = 4096;
constexpr std::size_t kMostThreads = 64;

std::atomic<void (*)()> thread_start{nullptr};

// How many stacks fit into a part of what can be locked, at most kMostThreads. Where not even one does, nothing much is
// locked anyway, and they are not what takes it.
std::size_t StacksInLockBudget(std::size_t parts) {
  const auto budget = LockedPool::Instance().LockBudget();
  if (!budget) return kMostThreads;
  const std::size_t stacks = *budget / parts / kJobStackBytes;
  return stacks == 0 ? kMostThreads : std::min(stacks, kMostThreads);
}

// By default stacks take a quarter of what can be locked at most; where somebody chose, a half: the rest is for keys
// and answers. A thread never ends, so what its stack has taken is gone.
std::size_t DefaultThreadLimit() {
  return std::min(UsableProcessors(), StacksInLockBudget(4));
}

}  // namespace

struct Executor::Impl {
  struct Owner {
    const void* key;
    std::deque<std::shared_ptr<Job>> jobs;  // never empty
  };

  mutable std::mutex mutex;
  std::condition_variable wake;
  std::list<Owner> owners;  // the front one is served next, and then goes to the back
  std::size_t queued = 0;
  std::size_t threads = 0;
  std::size_t idle = 0;
  std::size_t running = 0;
  std::size_t limit = DefaultThreadLimit();
  bool limit_chosen = false;
  // Threads whose stack is locked, and locked stacks that wait for a thread to change its unlocked one for.
  std::size_t locked_stacks = 0;
  std::vector<JobStack> spare;

  // TakeJob takes the next job that a thread with such a stack may run. Under `mutex`.
  std::shared_ptr<Job> TakeJob(bool locked_stack) {
    for (auto owner = owners.begin(); owner != owners.end(); ++owner) {
      if (!locked_stack && owner->jobs.front()->locking_ == Locking::kRequired) continue;
      std::shared_ptr<Job> job = std::move(owner->jobs.front());
      owner->jobs.pop_front();
      --queued;
      if (owner->jobs.empty()) {
        owners.erase(owner);
      } else {
        owners.splice(owners.end(), owners, owner);
      }
      return job;
    }
    return nullptr;
  }

  void Work(JobStack stack) {
    // The process's signals are the main thread's business; a handler here would run on a secret stack.
    const SignalsBlocked blocked(SignalsBlocked::kAllButFaults);
    YieldToJavaScript();
    if (const auto start = thread_start.load(); start != nullptr) start();
    std::unique_lock lock(mutex);
    for (;;) {
      if (!stack.locked() && !spare.empty()) {
        std::swap(stack, spare.back());
        spare.pop_back();  // gives the unlocked one back
      }
      std::shared_ptr<Job> job = TakeJob(stack.locked());
      if (job == nullptr) {
        ++idle;
        wake.wait(lock);
        --idle;
        continue;
      }
      job->state_ = Job::State::kRunning;
      ++running;
      lock.unlock();
      if (!stack.locked() && job->locking_ == Locking::kPreferred) LockedPool::Instance().NoteDegraded();
      {
        LockingScope scope(job->locking_);
        stack.Run(
            [](void* data) {
              static_cast<Job*>(data)->Run();
              // Nothing of one job is left for the next, and the pool's numbers are what they were before it.
              ReleaseOpenSslThreadState();
            },
            job.get());
      }
      job->state_ = Job::State::kDone;
      lock.lock();
      // Before Finish, so that whoever hears of the outcome does not find the job still counted.
      --running;
      lock.unlock();
      job->Finish(false);
      job.reset();
      // The outcome wakes the JavaScript thread, which might wait for this core.
      std::this_thread::yield();
      lock.lock();
    }
  }

  // EnsureThread makes sure that a thread will run a job of `locking`, and starts another if all are busy. Under
  // `mutex`.
  Status EnsureThread(Locking locking) {
    const bool required = locking == Locking::kRequired;
    const bool served = required ? locked_stacks != 0 : threads != 0;
    const bool more = idle <= queued && threads < limit && threads < StacksInLockBudget(2);
    if (served && !more) return Status::Ok();
    auto stack = JobStack::Allocate(locking);
    if (!stack) return served ? Status::Ok() : Status(stack.error());
    const bool locked = stack->locked();
    if (threads >= limit) {
      // Every thread has an unlocked stack: one of them changes it for this.
      spare.push_back(std::move(*stack));
    } else {
      // A thread begins with its creator's registers, and would keep them until its first job ends.
      ClearVectorRegisters();
      try {
        std::thread([this, own = std::move(*stack)]() mutable { Work(std::move(own)); }).detach();
      } catch (const std::system_error&) {
        if (served) return Status::Ok();
        return Error{Code::kOutOfMemory, "The system did not let this process start a thread."};
      }
      ++threads;
    }
    if (locked) ++locked_stacks;
    return Status::Ok();
  }
};

Executor::Executor() : impl_(new Impl) {}

void Executor::SetThreadStart(void (*start)()) noexcept {
  thread_start = start;
}

Executor& Executor::Instance() {
  static Executor* const executor = new Executor;
  return *executor;
}

// A child that fork() made has none of the threads, and the mutex may have been held by one of them.
Status Executor::Submit(std::shared_ptr<Job> job, Locking locking, const void* owner) try {
  if (InForkedChild()) return ForkedChildError();
  std::lock_guard lock(impl_->mutex);
  if (impl_->queued >= kQueueLimit) {
    return Error{Code::kQueueFull, "Too many operations are waiting already. Send fewer requests at the same time."};
  }
  if (Status status = impl_->EnsureThread(locking); !status) return status;
  job->locking_ = locking;
  job->state_ = Job::State::kQueued;
  const auto at =
      std::find_if(impl_->owners.begin(), impl_->owners.end(), [owner](const auto& each) { return each.key == owner; });
  if (at != impl_->owners.end()) {
    at->jobs.push_back(std::move(job));
  } else {
    // In one step: an owner without jobs must not stay when memory runs out.
    impl_->owners.push_back(Impl::Owner{owner, {std::move(job)}});
  }
  ++impl_->queued;
  // One thread is enough, unless some may not run every job.
  if (impl_->locked_stacks == impl_->threads) {
    impl_->wake.notify_one();
  } else {
    impl_->wake.notify_all();
  }
  return Status::Ok();
} catch (const std::bad_alloc&) {
  return OutOfMemory();
}

bool Executor::Cancel(const std::shared_ptr<Job>& job) {
  if (InForkedChild()) return false;
  {
    std::lock_guard lock(impl_->mutex);
    if (job->state_ != Job::State::kQueued) return false;
    for (auto owner = impl_->owners.begin(); owner != impl_->owners.end(); ++owner) {
      const auto at = std::find(owner->jobs.begin(), owner->jobs.end(), job);
      if (at == owner->jobs.end()) continue;
      owner->jobs.erase(at);
      --impl_->queued;
      if (owner->jobs.empty()) impl_->owners.erase(owner);
      break;
    }
    job->state_ = Job::State::kDone;
  }
  job->Finish(true);
  return true;
}

void Executor::CancelOwner(const void* owner) {
  if (InForkedChild()) return;
  std::list<Impl::Owner> dropped;  // takes no memory, unlike a deque: this must not fail
  {
    std::lock_guard lock(impl_->mutex);
    const auto at = std::find_if(impl_->owners.begin(), impl_->owners.end(),
                                 [owner](const auto& each) { return each.key == owner; });
    if (at == impl_->owners.end()) return;
    dropped.splice(dropped.end(), impl_->owners, at);
    impl_->queued -= at->jobs.size();
    for (const auto& job : at->jobs) job->state_ = Job::State::kDone;
  }
  for (const auto& owner_of : dropped) {
    for (const auto& job : owner_of.jobs) job->Finish(true);
  }
}

Status Executor::SetThreadLimit(std::size_t threads) try {
  if (threads < 1 || threads > kMostThreads) return Error{Code::kInvalidArgument, "threads must be from 1 to 64."};
  if (InForkedChild()) return ForkedChildError();
  std::lock_guard lock(impl_->mutex);
  if (impl_->limit_chosen && impl_->limit != threads) {
    return Error{Code::kInvalidArgument,
                 "This process keeps to the number of threads that was chosen before, " + std::to_string(impl_->limit) +
                     ", and cannot keep to " + std::to_string(threads) +
                     " as well: all that runs in it shares them. Choose the same number everywhere."};
  }
  // A thread stays: with it would go a stack that may be the only locked one, which jobs in the queue count on.
  if (impl_->threads > threads) {
    return Error{Code::kInvalidArgument, std::to_string(impl_->threads) +
                                             " threads run already, and none of them ends, so this process cannot "
                                             "keep to " +
                                             std::to_string(threads) + ". Choose the number for its first client."};
  }
  impl_->limit = threads;
  impl_->limit_chosen = true;
  return Status::Ok();
} catch (const std::bad_alloc&) {
  return OutOfMemory();
}

Executor::Stats Executor::stats() const {
  if (InForkedChild()) return {};
  std::lock_guard lock(impl_->mutex);
  return {impl_->threads, impl_->limit, impl_->limit_chosen, impl_->queued, impl_->running};
}

}  // namespace nomyo
