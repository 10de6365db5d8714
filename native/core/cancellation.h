// Cancellation: tells work that runs on another thread that nobody wants its outcome any more.
#pragma once

#include <atomic>
#include <cstddef>
#include <memory>
#include <utility>

namespace nomyo {

class Cancellation {
 public:
  // What is cancelled with `parent` is cancelled, too: a job with the environment that started it.
  explicit Cancellation(std::shared_ptr<const Cancellation> parent = nullptr) : parent_(std::move(parent)) {}
  Cancellation(const Cancellation&) = delete;
  Cancellation& operator=(const Cancellation&) = delete;

  // Cancel cannot be taken back. Any thread.
  void Cancel() noexcept { cancelled_.store(true, std::memory_order_relaxed); }

  // cancelled is cheap enough to be asked for every few KiB. Any thread. Nothing else is published by it: whoever
  // sees it stops, and hands on no more than that.
  bool cancelled() const noexcept {
    return cancelled_.load(std::memory_order_relaxed) || (parent_ != nullptr && parent_->cancelled());
  }

 private:
  std::atomic<bool> cancelled_{false};
  const std::shared_ptr<const Cancellation> parent_;
};

// IsCancelled asks a Cancellation that need not be there.
inline bool IsCancelled(const Cancellation* cancellation) noexcept {
  return cancellation != nullptr && cancellation->cancelled();
}

// How many bytes of a text are worked on between two looks at a Cancellation: some tens of microseconds of parsing. A
// token that is longer (a string, a number, white space) is gone over at one go, at a gigabyte a second or more.
inline constexpr std::size_t kCancellationBytes = std::size_t{64} * 1024;

}  // namespace nomyo
