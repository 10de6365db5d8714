// Windows: VirtualAlloc and VirtualLock. What may be locked is bounded by the minimum working set, which is grown when
// a lock is refused. Written from Microsoft's documentation; it has not been run (docs/memory.md says so).
#if defined(_WIN32)

#include <windows.h>

#include "core/memory/page_allocator.h"

namespace nomyo {
namespace {

class WindowsPageAllocator final : public PageAllocator {
 public:
  std::size_t PageSize() const override {
    SYSTEM_INFO info{};
    GetSystemInfo(&info);
    return info.dwPageSize;
  }

  std::byte* Reserve(std::size_t bytes) override {
    return static_cast<std::byte*>(VirtualAlloc(nullptr, bytes, MEM_RESERVE, PAGE_NOACCESS));
  }

  Mapped MapLocked(std::byte* at, std::size_t bytes) override {
    if (MapUnlocked(at, bytes) == Outcome::kNoMemory) {
      return {Outcome::kNoMemory, LockMechanism::kNone, Failure("VirtualAlloc", LockFailure::Cause::kMemory)};
    }
    if (VirtualLock(at, bytes) || (GrowWorkingSet(bytes) && VirtualLock(at, bytes))) {
      return {Outcome::kLocked, LockMechanism::kVirtualLock, {}};
    }
    const LockFailure failure = Failure("VirtualLock", LockFailure::Cause::kLimit);
    Unmap(at, bytes);
    return {Outcome::kLockRefused, LockMechanism::kNone, failure};
  }

  Outcome MapUnlocked(std::byte* at, std::size_t bytes) override {
    return VirtualAlloc(at, bytes, MEM_COMMIT, PAGE_READWRITE) != nullptr ? Outcome::kUnlocked : Outcome::kNoMemory;
  }

  // Decommitting unlocks, and the range stays reserved.
  bool Unmap(std::byte* at, std::size_t bytes) override { return VirtualFree(at, bytes, MEM_DECOMMIT) != 0; }

  LockFailure Choose(LockMechanism mechanism) override {
    if (mechanism == LockMechanism::kVirtualLock) return {};
    return {NameOf(mechanism).data(), static_cast<int>(ERROR_NOT_SUPPORTED), LockFailure::Cause::kUnavailable};
  }
  LockMechanism Expected() override { return LockMechanism::kVirtualLock; }
  LockLimit Limit() const override { return {}; }

  std::string ExplainRefusal(std::size_t bytes, const LockFailure& failure) const override {
    const std::string asked =
        "Memory could not be locked (" + Text(failure) + "): " + std::to_string(bytes) + " bytes were asked for";
    if (failure.cause == LockFailure::Cause::kUnavailable) {
      return asked + ". This system locks memory by VirtualLock only: demand no other mechanism.";
    }
    return asked +
           ", and the process's working set could not be grown to hold them. Give the account the right 'Increase a "
           "process working set', raise the job object's working-set limit if there is one, send less at a time, or "
           "let memory go unlocked (locking 'preferred').";
  }

 private:
  static LockFailure Failure(const char* call, LockFailure::Cause cause) {
    return {call, static_cast<int>(GetLastError()), cause};
  }

  static bool GrowWorkingSet(std::size_t bytes) {
    SIZE_T least = 0;
    SIZE_T most = 0;
    const HANDLE process = GetCurrentProcess();
    // VirtualLock keeps a few pages of the minimum for the system; a margin of 16 pages more than covers them.
    const SIZE_T more = bytes + 16 * 4096;
    return GetProcessWorkingSetSize(process, &least, &most) != 0 &&
           SetProcessWorkingSetSize(process, least + more, most + more) != 0;
  }
};

}  // namespace

std::unique_ptr<PageAllocator> NewSystemPageAllocator() {
  return std::make_unique<WindowsPageAllocator>();
}

}  // namespace nomyo

#else
#error "This file is for Windows: native/CMakeLists.txt takes each system's own."
#endif
