#include "core/threads/executor.h"

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

namespace nomyo {

struct Executor::Impl {
  mutable std::mutex mutex;
  std::condition_variable wake;
  std::deque<std::shared_ptr<Job>> queue;
  std::size_t threads = 0;
  std::size_t idle = 0;
  std::size_t running = 0;
  std::size_t limit = std::clamp<std::size_t>(std::thread::hardware_concurrency(), 1, 64);

  void Work() {
    std::unique_lock lock(mutex);
    for (;;) {
      ++idle;
      wake.wait(lock, [this] { return !queue.empty(); });
      --idle;
      std::shared_ptr<Job> job = std::move(queue.front());
      queue.pop_front();
      job->state_ = Job::State::kRunning;
      ++running;
      lock.unlock();
      {
        LockPolicyScope scope(job->policy_);
        job->Run();
      }
      job->state_ = Job::State::kDone;
      job->Finish(false);
      job.reset();
      lock.lock();
      --running;
    }
  }
};

Executor::Executor() : impl_(new Impl) {}

Executor& Executor::Instance() {
  static Executor* const executor = new Executor;
  return *executor;
}

Status Executor::Submit(std::shared_ptr<Job> job, LockPolicy policy, const void*) {
  std::lock_guard lock(impl_->mutex);
  if (impl_->queue.size() >= 4096) return Error{Code::kQueueFull, "Too much work is queued already."};
  job->policy_ = policy;
  job->state_ = Job::State::kQueued;
  impl_->queue.push_back(std::move(job));
  if (impl_->idle < impl_->queue.size() && impl_->threads < impl_->limit) {
    ++impl_->threads;
    std::thread([impl = impl_] { impl->Work(); }).detach();
  }
  impl_->wake.notify_one();
  return Status::Ok();
}

bool Executor::Cancel(const std::shared_ptr<Job>& job) {
  {
    std::lock_guard lock(impl_->mutex);
    auto at = std::find(impl_->queue.begin(), impl_->queue.end(), job);
    if (at == impl_->queue.end()) return false;
    impl_->queue.erase(at);
    job->state_ = Job::State::kDone;
  }
  job->Finish(true);
  return true;
}

Status Executor::SetThreadLimit(std::size_t threads) {
  if (threads < 1 || threads > 64) return Error{Code::kInvalidArgument, "threads must be from 1 to 64."};
  std::lock_guard lock(impl_->mutex);
  impl_->limit = threads;
  return Status::Ok();
}

Executor::Stats Executor::stats() const {
  std::lock_guard lock(impl_->mutex);
  return {impl_->threads, impl_->limit, impl_->queue.size(), impl_->running};
}

}  // namespace nomyo
