// PageAllocator: where the pool's pages come from. One implementation for each operating system; tests have their own,
// which can refuse (root is never refused a lock, so nothing else shows what happens then). One thread at a time,
// since the pool calls it under its lock; PageSize, Limit and ExplainRefusal any thread.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>

#include "core/memory/lock_failure.h"
#include "core/memory/lock_mechanism.h"

namespace nomyo {

class PageAllocator {
 public:
  enum class Outcome {
    kLocked,       // mapped and locked
    kUnlocked,     // mapped, not locked (MapUnlocked only)
    kLockRefused,  // not mapped: the system does not let this process lock that
    kNoMemory,     // not mapped: the system has no memory or no mapping to give
  };

  struct Mapped {
    Outcome outcome = Outcome::kNoMemory;
    LockMechanism mechanism = LockMechanism::kNone;  // how, when the outcome is kLocked
    // The call that failed. Also when memory was locked by a weaker mechanism than the first choice: why.
    LockFailure failure;
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
  virtual Mapped MapLocked(std::byte* at, std::size_t bytes) = 0;

  // MapUnlocked does the same without the lock. Nothing is mapped unless the outcome is kUnlocked.
  virtual Outcome MapUnlocked(std::byte* at, std::size_t bytes) = 0;

  // Unmap gives the memory back to the system; the range is inaccessible address space again. False: the range was
  // given back, but may not be used again.
  virtual bool Unmap(std::byte* at, std::size_t bytes) = 0;

  // Choose confines MapLocked to one mechanism from now on; without it MapLocked takes the best that there is. Returns
  // the failure when this system does not have it. A mechanism that was not chosen is not even tried: under a filter
  // that kills the process at the call, trying is fatal.
  virtual LockFailure Choose(LockMechanism mechanism) = 0;

  // Expected is the mechanism that the next MapLocked will try first. It may try the system's call to know.
  virtual LockMechanism Expected() = 0;

  virtual LockLimit Limit() const = 0;

  // ExplainRefusal is for people: what was asked for, the call that failed and its error, and what helps against its
  // cause: a limit is raised, a filter is changed.
  virtual std::string ExplainRefusal(std::size_t bytes, const LockFailure& failure) const = 0;
};

// NewSystemPageAllocator returns this operating system's.
std::unique_ptr<PageAllocator> NewSystemPageAllocator();

}  // namespace nomyo
