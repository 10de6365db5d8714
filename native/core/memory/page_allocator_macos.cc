// macOS: anonymous memory with mlock(2), kept out of children by minherit(2). Written from the manual pages; it has not
// been run (docs/memory.md says so).
#if defined(__APPLE__)

#include <mach/vm_inherit.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

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

  Outcome MapLocked(std::byte* at, std::size_t bytes) override {
    if (!Map(at, bytes)) return Outcome::kNoMemory;
    if (mlock(at, bytes) == 0) return Outcome::kLocked;
    Unmap(at, bytes);
    return Outcome::kLockRefused;
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

  std::string_view Mechanism() const override { return "mlock"; }
  bool SetMechanism(std::string_view name) override { return name == "mlock"; }

  LockLimit Limit() const override {
    rlimit limit{};
    if (getrlimit(RLIMIT_MEMLOCK, &limit) != 0) return {};
    return {LimitValue(limit.rlim_cur), LimitValue(limit.rlim_max), false};
  }

  std::string ExplainRefusal(std::size_t bytes) const override {
    const LockLimit limit = Limit();
    return "Memory could not be locked: " + std::to_string(bytes) +
           " bytes were asked for, and the limit (RLIMIT_MEMLOCK) is " +
           (limit.soft ? std::to_string(*limit.soft) + " bytes" : std::string("unlimited")) +
           ". Raise the limit (`ulimit -l`; the system-wide bounds are sysctl vm.user_wire_limit and "
           "vm.global_user_wire_limit), send less at a time, or choose secureMemory 'preferred'.";
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

#endif  // defined(__APPLE__)
