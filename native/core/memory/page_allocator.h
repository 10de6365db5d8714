// PageAllocator: where the pool's pages come from. One implementation for each operating system; tests have their own,
// which can refuse (root is never refused a lock, so nothing else shows what happens then).
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace nomyo {

class PageAllocator {
 public:
  enum class Outcome {
    kLocked,       // mapped and locked
    kUnlocked,     // mapped, not locked (MapUnlocked only)
    kLockRefused,  // not mapped: the system does not let this process lock so much
    kNoMemory,     // not mapped: the system has no memory or no mapping to give
  };

  struct LockLimit {
    std::optional<std::size_t> soft;  // bytes; empty: unlimited, or there is no such limit
    std::optional<std::size_t> hard;
    bool exempt = false;  // the process may lock more than the limit says (CAP_IPC_LOCK)
  };

  virtual ~PageAllocator() = default;

  virtual std::size_t PageSize() const = 0;

  // Reserve returns `bytes` of address space that cannot be accessed and costs no memory, or null. It is never given
  // back: the pool lives as long as the process.
  virtual std::byte* Reserve(std::size_t bytes) = 0;

  // MapLocked makes [at, at + bytes), a page-aligned part of the reservation, readable, writable, zero-filled, locked,
  // absent from core dumps and from child processes. Nothing is mapped unless the outcome is kLocked.
  virtual Outcome MapLocked(std::byte* at, std::size_t bytes) = 0;

  // MapUnlocked does the same without the lock. Nothing is mapped unless the outcome is kUnlocked.
  virtual Outcome MapUnlocked(std::byte* at, std::size_t bytes) = 0;

  // Unmap gives the memory back to the system; the range is inaccessible address space again. False: the range was
  // given back, but may not be used again.
  virtual bool Unmap(std::byte* at, std::size_t bytes) = 0;

  // Mechanism names how MapLocked locks: "memfd_secret", "mlock" or "VirtualLock".
  virtual std::string_view Mechanism() const = 0;

  // SetMechanism chooses one by name; false when this system does not have it. Before the first mapping only.
  virtual bool SetMechanism(std::string_view name) = 0;

  virtual LockLimit Limit() const = 0;

  // ExplainRefusal is for people: what was asked for, the limit, what is locked already, and how to raise the limit.
  virtual std::string ExplainRefusal(std::size_t bytes) const = 0;
};

// NewSystemPageAllocator returns this operating system's.
std::unique_ptr<PageAllocator> NewSystemPageAllocator();

}  // namespace nomyo
