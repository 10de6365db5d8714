// FakePageAllocator: the system's page allocator with a lock limit of its own, so that tests can have the N-th lock
// refused: root never is.
#pragma once

#include <algorithm>
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

  Outcome MapLocked(std::byte* at, std::size_t bytes) override {
    if (control_.no_memory) return Outcome::kNoMemory;
    if (control_.locks_tried++ >= control_.refuse_lock_from || control_.locked + bytes > control_.lock_limit) {
      return Outcome::kLockRefused;
    }
    // Real locks would be limited by the account that runs the tests.
    if (system_->MapUnlocked(at, bytes) != Outcome::kUnlocked) return Outcome::kNoMemory;
    control_.locked += bytes;
    control_.locked_ranges.emplace(at, bytes);
    Mapped(bytes);
    return Outcome::kLocked;
  }

  Outcome MapUnlocked(std::byte* at, std::size_t bytes) override {
    if (control_.no_memory) return Outcome::kNoMemory;
    const Outcome outcome = system_->MapUnlocked(at, bytes);
    if (outcome == Outcome::kUnlocked) Mapped(bytes);
    return outcome;
  }

  bool Unmap(std::byte* at, std::size_t bytes) override {
    if (control_.locked_ranges.erase({at, bytes}) != 0) control_.locked -= bytes;
    control_.mapped -= bytes;
    return system_->Unmap(at, bytes);
  }

  std::string_view Mechanism() const override { return mechanism_; }
  bool SetMechanism(std::string_view name) override {
    if (name != "fake" && name != "other") return false;
    mechanism_ = name;
    return true;
  }
  LockLimit Limit() const override {
    if (!control_.report_limit) return {};
    return {control_.lock_limit, control_.lock_limit, false};
  }
  std::string ExplainRefusal(std::size_t bytes) const override { return "refused " + std::to_string(bytes) + " bytes"; }

 private:
  void Mapped(std::size_t bytes) {
    control_.mapped += bytes;
    control_.largest_mapped = std::max(control_.largest_mapped, control_.mapped);
  }

  Control& control_;
  std::unique_ptr<PageAllocator> system_ = NewSystemPageAllocator();
  std::string_view mechanism_ = "fake";
};

}  // namespace nomyo
