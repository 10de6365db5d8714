// FakePageAllocator: the system's page allocator with a lock limit of its own, so that tests can have the N-th lock
// refused: root never is.
#pragma once

#include <algorithm>
#include <cerrno>
#include <memory>
#include <set>
#include <utility>

#include "core/memory/page_allocator.h"

namespace nomyo {

class FakePageAllocator final : public PageAllocator {
 public:
  // What a test sees and sets; it outlives the pool.
  struct Control {
    std::size_t lock_limit = SIZE_MAX;        // bytes that may be locked at a time
    std::size_t refuse_lock_from = SIZE_MAX;  // the N-th and later locks are refused (counted from 0)
    bool no_memory = false;
    std::size_t weaker_from = SIZE_MAX;  // the N-th and later locks are by the second choice
    bool has_first_choice = true;
    bool report_limit = false;  // Limit() says lock_limit
    std::size_t locks_tried = 0;
    std::size_t locked = 0;          // bytes
    std::size_t mapped = 0;          // bytes
    std::size_t largest_mapped = 0;  // bytes
    std::set<std::pair<std::byte*, std::size_t>> locked_ranges;
  };

  explicit FakePageAllocator(Control* control) : control_(*control) {}

  std::size_t PageSize() const override { return system_->PageSize(); }
  std::byte* Reserve(std::size_t bytes) override { return system_->Reserve(bytes); }

  Mapped MapLocked(std::byte* at, std::size_t bytes) override {
    const LockFailure none_left{"memfd_secret", EMFILE, LockFailure::Cause::kDescriptors};
    if (control_.no_memory) return {};
    const std::size_t tried = control_.locks_tried++;
    if (tried >= control_.refuse_lock_from || control_.locked + bytes > control_.lock_limit) {
      return {Outcome::kLockRefused, LockMechanism::kNone, {"mlock", ENOMEM, LockFailure::Cause::kLimit}};
    }
    const bool weaker = tried >= control_.weaker_from && chosen_ != LockMechanism::kMlock;
    if (weaker && chosen_ == LockMechanism::kMemfdSecret) {
      return {Outcome::kLockRefused, LockMechanism::kNone, none_left};
    }
    // Real locks would be limited by the account that runs the tests.
    if (system_->MapUnlocked(at, bytes) != Outcome::kUnlocked) return {};
    control_.locked += bytes;
    control_.locked_ranges.emplace(at, bytes);
    Count(bytes);
    return {Outcome::kLocked, weaker ? LockMechanism::kMlock : Expected(), weaker ? none_left : LockFailure{}};
  }

  Outcome MapUnlocked(std::byte* at, std::size_t bytes) override {
    if (control_.no_memory) return Outcome::kNoMemory;
    const Outcome outcome = system_->MapUnlocked(at, bytes);
    if (outcome == Outcome::kUnlocked) Count(bytes);
    return outcome;
  }

  bool Unmap(std::byte* at, std::size_t bytes) override {
    if (control_.locked_ranges.erase({at, bytes}) != 0) control_.locked -= bytes;
    control_.mapped -= bytes;
    return system_->Unmap(at, bytes);
  }

  LockFailure Choose(LockMechanism mechanism) override {
    if (mechanism == LockMechanism::kVirtualLock ||
        (mechanism == LockMechanism::kMemfdSecret && !control_.has_first_choice)) {
      return {"memfd_secret", ENOSYS, LockFailure::Cause::kUnavailable};
    }
    chosen_ = mechanism;
    return {};
  }
  LockMechanism Expected() override { return chosen_ == LockMechanism::kNone ? LockMechanism::kMemfdSecret : chosen_; }
  LockLimit Limit() const override {
    if (!control_.report_limit) return {};
    return {control_.lock_limit, control_.lock_limit, false};
  }
  std::string ExplainRefusal(std::size_t bytes, const LockFailure& failure) const override {
    return "refused " + std::to_string(bytes) + " bytes: " + Text(failure);
  }

 private:
  void Count(std::size_t bytes) {
    control_.mapped += bytes;
    control_.largest_mapped = std::max(control_.largest_mapped, control_.mapped);
  }

  Control& control_;
  std::unique_ptr<PageAllocator> system_ = NewSystemPageAllocator();
  LockMechanism chosen_ = LockMechanism::kNone;
};

}  // namespace nomyo
