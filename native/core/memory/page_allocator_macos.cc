// macOS: anonymous memory with mlock(2), kept out of children by minherit(2). Written from the manual pages; it has not
// been run (docs/memory.md says so).
#if defined(__APPLE__)

#include <mach/vm_inherit.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>

#include "core/memory/page_allocator.h"

namespace nomyo {
namespace {

std::optional<std::size_t> LimitValue(rlim_t value) {
  if (value == RLIM_INFINITY) return std::nullopt;
  return static_cast<std::size_t>(value);
}

class MacPageAllocator final : public PageAllocator {
 public:
  std::size_t PageSize() const override { return static_cast<std::size_t>(getpagesize()); }

  std::byte* Reserve(std::size_t bytes) override {
    void* memory = mmap(nullptr, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANON | MAP_NORESERVE, -1, 0);
    return memory == MAP_FAILED ? nullptr : static_cast<std::byte*>(memory);
  }

  Mapped MapLocked(std::byte* at, std::size_t bytes) override {
    if (!Map(at, bytes))
      return {Outcome::kNoMemory, LockMechanism::kNone, {"mmap", errno, LockFailure::Cause::kMemory}};
    if (mlock(at, bytes) == 0) return {Outcome::kLocked, LockMechanism::kMlock, {}};
    // The system-wide bounds answer with the same error as the process's own limit.
    const LockFailure failure{"mlock", errno, errno == EPERM ? LockFailure::Cause::kJail : LockFailure::Cause::kLimit};
    Unmap(at, bytes);
    return {Outcome::kLockRefused, LockMechanism::kNone, failure};
  }

  Outcome MapUnlocked(std::byte* at, std::size_t bytes) override {
    return Map(at, bytes) ? Outcome::kUnlocked : Outcome::kNoMemory;
  }

  bool Unmap(std::byte* at, std::size_t bytes) override {
    if (mmap(at, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANON | MAP_NORESERVE | MAP_FIXED, -1, 0) != MAP_FAILED) {
      return true;
    }
    munmap(at, bytes);
    return false;
  }

  LockFailure Choose(LockMechanism mechanism) override {
    if (mechanism == LockMechanism::kMlock) return {};
    return {NameOf(mechanism).data(), ENOSYS, LockFailure::Cause::kUnavailable};
  }
  LockMechanism Expected() override { return LockMechanism::kMlock; }

  LockLimit Limit() const override {
    rlimit limit{};
    if (getrlimit(RLIMIT_MEMLOCK, &limit) != 0) return {};
    return {LimitValue(limit.rlim_cur), LimitValue(limit.rlim_max), false};
  }

  std::string ExplainRefusal(std::size_t bytes, const LockFailure& failure) const override {
    const LockLimit limit = Limit();
    const std::string asked = "Memory could not be locked (" + Text(failure) + "): " + std::to_string(bytes) +
                              " bytes were asked for, and the limit (RLIMIT_MEMLOCK) is " +
                              (limit.soft ? std::to_string(*limit.soft) + " bytes" : std::string("unlimited"));
    if (failure.cause == LockFailure::Cause::kUnavailable) {
      return asked + ". This system locks memory by mlock only: demand no other mechanism.";
    }
    if (failure.cause == LockFailure::Cause::kJail) {
      return asked +
             ", which is not the cause: the call itself is forbidden here. Allow it, or let memory go "
             "unlocked (locking 'preferred').";
    }
    return asked +
           ". Raise the limit (`ulimit -l`; the system-wide bounds are sysctl vm.user_wire_limit and "
           "vm.global_user_wire_limit), send less at a time, or let memory go unlocked (locking 'preferred').";
  }

 private:
  static bool Map(std::byte* at, std::size_t bytes) {
    if (mmap(at, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANON | MAP_FIXED, -1, 0) == MAP_FAILED) return false;
    if (minherit(at, bytes, VM_INHERIT_NONE) != 0) {
      mmap(at, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANON | MAP_NORESERVE | MAP_FIXED, -1, 0);
      return false;
    }
    return true;
  }
};

}  // namespace

std::unique_ptr<PageAllocator> NewSystemPageAllocator() {
  return std::make_unique<MacPageAllocator>();
}

}  // namespace nomyo

#else
#error "This file is for macOS: native/CMakeLists.txt takes each system's own."
#endif
