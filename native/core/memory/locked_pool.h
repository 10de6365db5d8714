// LockedPool: the memory that every secret of this package lives in, OpenSSL's included.
//
// How it works. A range of address space is reserved once, and memory is mapped into it in chunks, each locked and
// given back as a whole, with inaccessible pages before and after it. Whether an address is the pool's is one
// comparison, and its chunk one look into a table of frames (64 KiB pieces of the range).
//
// Small allocations (up to kSmallLimit) are slots of equal size in a chunk of their size class; a larger one has a
// chunk of its own, and ends where the guard page starts. Each allocation stands between two canaries that depend on
// its address and on a key of this process; a broken one aborts the process when it is freed, and so does freeing twice
// or freeing what was never handed out: silent corruption of key memory is worse than a crash. All bookkeeping lies in
// ordinary memory outside the chunks, so that an overrun cannot reach it, and no locked byte is spent on it.
//
// Every free wipes, so every allocation starts as zeros without being cleared again. An empty chunk is kept for reuse
// within retain_bytes (mapping a page of memfd_secret costs microseconds) and given back to the system beyond that, or
// when a lock is refused.
//
// A chunk is locked, by one mechanism, or is not. An allocation under kRequired never lands in one that is not, and
// none lands in a chunk of another mechanism than the one that was demanded.
//
// Its parts are pure bookkeeping, tested without a page: AddressFrames (which part of the range is free), Slots (which
// part of a chunk), Canaries. The pool itself decides what is locked, kept and given back, and counts.
//
// In a child that fork() made nothing is handed out, taken back or looked at: core/memory/fork_guard.h says why.
//
// All functions: any thread, at any time. What is refused hands nothing out, and is counted in Setbacks.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <optional>
#include <string_view>

#include "core/memory/address_frames.h"
#include "core/memory/canary.h"
#include "core/memory/locking.h"
#include "core/memory/page_allocator.h"
#include "core/memory/slots.h"
#include "core/result.h"

namespace nomyo {

class LockedPool {
 public:
  // The largest allocation that shares a chunk with others.
  static constexpr std::size_t kSmallLimit = kLargestClass;

  struct Options {
    // Address space to reserve; halved until the system agrees (an address-space limit may be in force).
    std::size_t reserve_bytes = sizeof(void*) == 8 ? std::size_t{16} << 30 : std::size_t{256} << 20;
    // Empty chunks kept mapped, in bytes; at most a quarter of the lock limit is kept whatever this says.
    // Enough for the largest answer that is usual (10 MiB) twice: mapping so much of memfd_secret anew for each answer
    // costs more than opening it (measured: 40 ms for 9 MiB).
    std::size_t retain_bytes = std::size_t{24} << 20;
  };

  // Exact numbers, in bytes unless said otherwise.
  struct Stats {
    std::size_t bytes_mapped = 0;  // for chunks now, locked or not; guard pages not counted
    std::size_t bytes_locked = 0;  // of these, locked
    // bytes_locked by mechanism; the place of LockMechanism::kNone stays 0.
    std::array<std::size_t, kLockMechanisms> bytes_locked_by{};
    std::size_t bytes_in_use = 0;       // handed out now, as asked for
    std::size_t bytes_peak = 0;         // the largest bytes_in_use so far
    std::size_t allocations = 0;        // live (count)
    std::size_t total_allocations = 0;  // so far (count)
    std::size_t chunks = 0;             // mapped now (count)
  };

  // Why nothing was handed out.
  struct Refusal {
    enum Kind { kNone, kLock, kMemory, kForked };
    Refusal(Kind of_kind = kNone) : kind(of_kind) {}  // NOLINT(google-explicit-constructor): a kind is a refusal
    friend bool operator==(const Refusal& refusal, Kind wanted) { return refusal.kind == wanted; }
    Kind kind;
    LockFailure failure;  // of kLock
  };

  // What the pool has met with so far.
  struct Setbacks {
    bool degraded = false;  // an allocation under kPreferred, or such a job, has had to go on unlocked
    LockFailure refused;    // the last lock that was refused
    LockFailure weaker;     // why, the last time, memory was locked by a weaker mechanism than the first choice
  };

  LockedPool(std::unique_ptr<PageAllocator> pages, Options options);
  ~LockedPool();
  LockedPool(const LockedPool&) = delete;
  LockedPool& operator=(const LockedPool&) = delete;

  // Instance returns the process-wide pool, shared by all environments. It is never destroyed: threads and OpenSSL may
  // free into it while the process ends.
  static LockedPool& Instance();

  // Allocate returns `size` zero bytes, aligned to 16, or null with the reason in `refusal` (Explain makes a sentence
  // of it). A size of zero gives one byte. Any thread.
  void* Allocate(std::size_t size, Locking locking, Refusal* refusal) noexcept;

  // Free wipes and takes back. Null does nothing. Aborts the process on a pointer that is not a live allocation, and on
  // a broken canary. Any thread.
  void Free(void* memory) noexcept;

  // NoteDegraded is for work under kPreferred that could not be given what is locked.
  void NoteDegraded() noexcept;

  // Owns says whether an address lies in the pool's range. Any thread, no lock.
  bool Owns(const void* memory) const noexcept {
    const auto offset = reinterpret_cast<std::uintptr_t>(memory) - reinterpret_cast<std::uintptr_t>(base_);
    return offset < reserved_;
  }

  // SizeOf returns the size that a live allocation was asked for with; IsLocked whether its bytes are locked. In a
  // forked child 0 and false.
  std::size_t SizeOf(const void* memory) const noexcept;
  bool IsLocked(const void* memory) const noexcept;

  // Trim gives all empty chunks back to the system.
  void Trim() noexcept;

  Stats stats() const noexcept;

  Setbacks setbacks() const noexcept;
  bool degraded() const noexcept { return setbacks().degraded; }

  // Mechanism names how the memory that is locked now is locked; "mixed" when that is by more than one. When nothing is
  // locked: what will be tried first, or "none" once a lock was refused.
  std::string_view Mechanism() const noexcept;

  // ChooseMechanism demands a mechanism by its name, for all memory that is locked from now on: where it cannot be had
  // locking is refused. "mlock" so forgoes memfd_secret, which is never called then. Choosing the same again does
  // nothing. Errors: kInvalidArgument when another was chosen, or memory of another is in use; kMemoryLock when this
  // system does not have it; kUnsupported for an unknown name. Any thread.
  Status ChooseMechanism(std::string_view name);

  // chosen returns what was demanded; kNone when nothing was.
  LockMechanism chosen() const noexcept;

  PageAllocator::LockLimit Limit() const { return pages_->Limit(); }

  // LockBudget returns how many bytes this process may lock, as far as the system says; empty when there is no limit.
  std::optional<std::size_t> LockBudget() const;

  // Explain turns a refusal into an error for people.
  Error Explain(const Refusal& refusal, std::size_t size) const;

 private:
  struct Chunk;
  struct Location;
  struct List {
    Chunk* head = nullptr;
    Chunk* tail = nullptr;
  };

  void* TakeSmall(std::size_t size, std::size_t size_class, bool locked, Refusal* refusal);
  void* TakeLarge(std::size_t size, bool locked, Refusal* refusal);
  void* TakeSlot(Chunk* chunk, std::size_t size);
  Chunk* MapChunk(std::size_t bytes, bool locked, Refusal* refusal);
  void UnmapChunk(Chunk* chunk);
  bool UnmapIdle(std::optional<bool> locked);
  void Retain(Chunk* chunk);
  Chunk* TakeIdle(std::size_t geometry, bool locked);
  Chunk* OldestIdle(bool locked, List** list);
  Location Find(const void* memory) const noexcept;
  static void Push(List& list, Chunk* chunk);
  static void Remove(List& list, Chunk* chunk);

  const std::unique_ptr<PageAllocator> pages_;
  std::size_t page_ = 0;
  std::size_t frame_bytes_ = 0;
  std::byte* base_ = nullptr;
  std::size_t reserved_ = 0;
  std::size_t retain_bytes_ = 0;
  Canaries canaries_;

  mutable std::mutex mutex_;
  std::unique_ptr<Chunk*[], void (*)(void*)> frames_;  // the chunk in each frame; pages never looked at cost nothing
  AddressFrames free_frames_;
  // [locked]: chunks of a class with a free slot; empty chunks by geometry (the last list: chunks of large
  // allocations).
  std::array<std::array<List, kSizeClasses>, 2> open_{};
  std::array<std::array<List, kGeometries + 1>, 2> idle_{};
  std::size_t idle_bytes_ = 0;
  std::uint64_t clock_ = 0;
  Stats stats_;
  Setbacks setbacks_;
  LockMechanism chosen_ = LockMechanism::kNone;
};

}  // namespace nomyo
