#include "core/memory/locked_pool.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <utility>

#include "core/memory/cleanse.h"
#include "core/memory/fork_guard.h"
#include "core/memory/kernel_random.h"
#include "core/memory/poison.h"

namespace nomyo {
namespace {

constexpr std::size_t RoundUp(std::size_t value, std::size_t to) {
  return (value + to - 1) / to * to;
}

[[noreturn]] void Die(const char* what) {
  static_cast<void>(
      std::fprintf(stderr, "nomyo-native: aborting, because memory that holds keys is corrupt: %s\n", what));
  static_cast<void>(std::fflush(stderr));
  std::abort();
}

}  // namespace

struct LockedPool::Chunk {
  std::byte* base = nullptr;
  std::size_t bytes = 0;
  AddressFrames::Piece frames;
  std::size_t geometry = 0;  // kGeometries: a large allocation's own
  Slots slots;               // of small allocations
  bool locked = false;
  LockMechanism mechanism = LockMechanism::kNone;
  std::uint64_t idle_since = 0;
  std::size_t large_size = 0;  // 0: the large allocation is not live
  Chunk* previous = nullptr;
  Chunk* next = nullptr;

  bool large() const { return geometry == kGeometries; }

  // A large allocation ends within 16 bytes of the guard page.
  std::byte* LargeSlot() const { return base + (bytes - RoundUp(large_size, 16) - kCanaryOverhead); }
};

// Location is a live allocation, found from its address.
struct LockedPool::Location {
  Chunk* chunk = nullptr;
  std::byte* slot = nullptr;
  std::uint32_t number = 0;  // of a small one's slot
  std::size_t size = 0;
};

LockedPool::LockedPool(std::unique_ptr<PageAllocator> pages, Options options)
    : pages_(std::move(pages)), frames_(nullptr, &std::free) {
  GuardForks();
  page_ = pages_->PageSize();
  // A frame has room for the smallest chunk between two guard pages, also where pages are 64 KiB.
  frame_bytes_ = std::max(std::size_t{64} * 1024, 4 * page_);
  retain_bytes_ = options.retain_bytes;
  if (const auto budget = LockBudget()) retain_bytes_ = std::min(retain_bytes_, *budget / 4);
  for (reserved_ = options.reserve_bytes; reserved_ >= 16 * frame_bytes_; reserved_ /= 2) {
    base_ = pages_->Reserve(reserved_);
    if (base_ != nullptr) break;
  }
  const std::size_t frames = base_ == nullptr ? 0 : reserved_ / frame_bytes_;
  // NOLINTNEXTLINE(bugprone-sizeof-expression): a table of pointers
  frames_.reset(static_cast<Chunk**>(std::calloc(std::max<std::size_t>(frames, 1), sizeof(Chunk*))));
  Canaries::Key key{};
  if (base_ == nullptr || !frames_ || !KernelRandom({reinterpret_cast<std::uint8_t*>(key.data()), sizeof key})) {
    // Nothing is served from a pool without address space or canaries: every allocation is refused.
    reserved_ = 0;
    return;
  }
  canaries_.SetKey(key);
  free_frames_.Reset(frames);
}

LockedPool::~LockedPool() {
  Trim();
}

LockedPool& LockedPool::Instance() {
  static LockedPool* const pool = new LockedPool(NewSystemPageAllocator(), Options{});
  return *pool;
}

// ---- lists
// ------------------------------------------------------------------------------------------------------------

void LockedPool::Push(List& list, Chunk* chunk) {
  chunk->previous = nullptr;
  chunk->next = list.head;
  (list.head != nullptr ? list.head->previous : list.tail) = chunk;
  list.head = chunk;
}

void LockedPool::Remove(List& list, Chunk* chunk) {
  (chunk->previous != nullptr ? chunk->previous->next : list.head) = chunk->next;
  (chunk->next != nullptr ? chunk->next->previous : list.tail) = chunk->previous;
  chunk->previous = chunk->next = nullptr;
}

// ---- chunks
// ------------------------------------------------------------------------------------------------------------

LockedPool::Chunk* LockedPool::MapChunk(std::size_t bytes, bool locked, Refusal* refusal) {
  bytes = RoundUp(bytes, page_);
  const std::size_t frames = RoundUp(bytes + 2 * page_, frame_bytes_) / frame_bytes_;
  auto chunk = std::make_unique<Chunk>();
  auto piece = free_frames_.Take(frames);
  if (!piece) {
    *refusal = Refusal::kMemory;
    return nullptr;
  }
  chunk->base = base_ + (piece->first() * frame_bytes_ + page_);
  chunk->bytes = bytes;
  chunk->frames = std::move(*piece);
  chunk->locked = locked;
  using Outcome = PageAllocator::Outcome;
  PageAllocator::Mapped mapped;
  if (locked) {
    mapped = pages_->MapLocked(chunk->base, bytes);
  } else {
    mapped.outcome = pages_->MapUnlocked(chunk->base, bytes);
  }
  if (mapped.outcome != Outcome::kLocked && mapped.outcome != Outcome::kUnlocked) {
    free_frames_.Give(std::move(chunk->frames));
    *refusal = mapped.outcome == Outcome::kLockRefused ? Refusal::kLock : Refusal::kMemory;
    refusal->failure = mapped.failure;
    if (*refusal == Refusal::kLock) setbacks_.refused = mapped.failure;
    return nullptr;
  }
  chunk->mechanism = mapped.mechanism;
  if (locked && mapped.failure) setbacks_.weaker = mapped.failure;
  NOMYO_LEAK_ROOT(chunk->base, bytes);
  NOMYO_POISON(chunk->base, bytes);
  std::fill_n(&frames_[chunk->frames.first()], frames, chunk.get());
  stats_.bytes_mapped += bytes;
  if (locked) {
    stats_.bytes_locked += bytes;
    stats_.bytes_locked_by[static_cast<std::size_t>(chunk->mechanism)] += bytes;
  }
  ++stats_.chunks;
  return chunk.release();
}

void LockedPool::UnmapChunk(Chunk* chunk) {
  const std::unique_ptr<Chunk> owned(chunk);
  NOMYO_UNPOISON(chunk->base, chunk->bytes);
  NOMYO_NO_LEAK_ROOT(chunk->base, chunk->bytes);
  std::fill_n(&frames_[chunk->frames.first()], chunk->frames.count(), nullptr);
  stats_.bytes_mapped -= chunk->bytes;
  if (chunk->locked) {
    stats_.bytes_locked -= chunk->bytes;
    stats_.bytes_locked_by[static_cast<std::size_t>(chunk->mechanism)] -= chunk->bytes;
  }
  --stats_.chunks;
  // A range that could not be reserved again is left out of use.
  if (pages_->Unmap(chunk->base, chunk->bytes)) free_frames_.Give(std::move(chunk->frames));
}

LockedPool::Chunk* LockedPool::OldestIdle(bool locked, List** list) {
  Chunk* oldest = nullptr;
  for (List& each : idle_[locked]) {
    if (each.tail == nullptr || (oldest != nullptr && oldest->idle_since < each.tail->idle_since)) continue;
    oldest = each.tail;
    *list = &each;
  }
  return oldest;
}

void LockedPool::Retain(Chunk* chunk) {
  chunk->idle_since = ++clock_;
  Push(idle_[chunk->locked][chunk->geometry], chunk);
  idle_bytes_ += chunk->bytes;
  while (idle_bytes_ > retain_bytes_) {
    List* lists[2] = {};
    Chunk* oldest[2] = {OldestIdle(false, &lists[0]), OldestIdle(true, &lists[1])};
    const bool second = oldest[0] == nullptr || (oldest[1] != nullptr && oldest[1]->idle_since < oldest[0]->idle_since);
    Remove(*lists[second], oldest[second]);
    idle_bytes_ -= oldest[second]->bytes;
    UnmapChunk(oldest[second]);
  }
}

bool LockedPool::UnmapIdle(std::optional<bool> locked) {
  bool any = false;
  for (const bool kind : {false, true}) {
    if (locked && *locked != kind) continue;
    for (List& list : idle_[kind]) {
      while (Chunk* chunk = list.head) {
        // The analyzer does not know that none stands before a head.
        // NOLINTNEXTLINE(clang-analyzer-cplusplus.NewDelete)
        Remove(list, chunk);
        idle_bytes_ -= chunk->bytes;
        UnmapChunk(chunk);
        any = true;
      }
    }
  }
  return any;
}

LockedPool::Chunk* LockedPool::TakeIdle(std::size_t geometry, bool locked) {
  List& list = idle_[locked][geometry];
  Chunk* chunk = list.head;
  if (chunk == nullptr) return nullptr;
  Remove(list, chunk);
  idle_bytes_ -= chunk->bytes;
  return chunk;
}

// ---- allocation
// ----------------------------------------------------------------------------------------------------------

void* LockedPool::TakeSlot(Chunk* chunk, std::size_t size) {
  const std::uint32_t number = chunk->slots.Take(size);
  if (chunk->slots.full()) Remove(open_[chunk->locked][chunk->slots.size_class()], chunk);
  std::byte* slot = chunk->base + chunk->slots.OffsetOf(number);
  canaries_.Seal(slot, size);
  return slot + kCanaryBytes;
}

void* LockedPool::TakeSmall(std::size_t size, std::size_t size_class, bool locked, Refusal* refusal) {
  List& open = open_[locked][size_class];
  if (open.head == nullptr) {
    const std::size_t geometry = GeometryOf(size_class);
    Chunk* chunk = TakeIdle(geometry, locked);
    if (chunk == nullptr) {
      chunk = MapChunk(kGeometry[geometry].bytes, locked, refusal);
      if (chunk == nullptr) return nullptr;
      chunk->geometry = geometry;
    }
    try {
      chunk->slots.Format(chunk->bytes, size_class);
    } catch (...) {
      Retain(chunk);
      throw;
    }
    Push(open, chunk);
  }
  return TakeSlot(open.head, size);
}

void* LockedPool::TakeLarge(std::size_t size, bool locked, Refusal* refusal) {
  const std::size_t bytes = RoundUp(RoundUp(size, 16) + kCanaryOverhead, page_);
  // The smallest idle chunk that fits, unless it would waste more than half as much again.
  List& idle = idle_[locked][kGeometries];
  Chunk* best = nullptr;
  for (Chunk* chunk = idle.head; chunk != nullptr; chunk = chunk->next) {
    if (chunk->bytes < bytes || chunk->bytes > bytes + bytes / 2) continue;
    if (best == nullptr || chunk->bytes < best->bytes) best = chunk;
  }
  if (best != nullptr) {
    Remove(idle, best);
    idle_bytes_ -= best->bytes;
  } else {
    best = MapChunk(bytes, locked, refusal);
    if (best == nullptr) return nullptr;
    best->geometry = kGeometries;
  }
  best->large_size = size;
  // NOLINTNEXTLINE(clang-analyzer-cplusplus.NewDeleteLeaks): the pool's table of frames has the chunk
  std::byte* slot = best->LargeSlot();
  canaries_.Seal(slot, size);
  return slot + kCanaryBytes;
}

void* LockedPool::Allocate(std::size_t size, Locking locking, Refusal* refusal) noexcept try {
  if (size == 0) size = 1;
  *refusal = Refusal::kNone;
  // Before the lock, which another thread of the parent may have held.
  if (InForkedChild()) {
    *refusal = Refusal::kForked;
    return nullptr;
  }
  std::lock_guard lock(mutex_);
  if (size > reserved_) {
    *refusal = Refusal::kMemory;
    return nullptr;
  }
  const bool small = size <= kSmallLimit;
  const std::size_t size_class = small ? ClassOf(size) : kSizeClasses;
  const auto take = [&](bool locked) {
    return small ? TakeSmall(size, size_class, locked, refusal) : TakeLarge(size, locked, refusal);
  };
  void* memory = take(locking != Locking::kOff);
  if (memory == nullptr && UnmapIdle(std::nullopt)) memory = take(locking != Locking::kOff);
  if (memory == nullptr && small && locking != Locking::kOff) {
    // No more can be locked: a slot of a larger class is locked already.
    for (std::size_t larger = size_class + 1; larger < kSizeClasses && memory == nullptr; ++larger) {
      if (Chunk* chunk = open_[true][larger].head) memory = TakeSlot(chunk, size);
    }
  }
  if (memory == nullptr && (locking == Locking::kPreferred || locking == Locking::kPublic)) {
    memory = take(false);
    if (memory != nullptr && locking == Locking::kPreferred) setbacks_.degraded = true;
  }
  if (memory == nullptr) return nullptr;
  *refusal = Refusal::kNone;
  stats_.bytes_in_use += size;
  stats_.bytes_peak = std::max(stats_.bytes_peak, stats_.bytes_in_use);
  ++stats_.allocations;
  ++stats_.total_allocations;
  return memory;
} catch (...) {
  // std::bad_alloc from the bookkeeping, which is in ordinary memory.
  *refusal = Refusal::kMemory;
  return nullptr;
}

LockedPool::Location LockedPool::Find(const void* memory) const noexcept {
  if (!Owns(memory)) Die("an address that is not the pool's was given back to it");
  const auto* at = static_cast<const std::byte*>(memory);
  Location location;
  location.chunk = frames_[static_cast<std::size_t>(at - base_) / frame_bytes_];
  if (location.chunk == nullptr) Die("an allocation was freed twice, or was never made");
  const Chunk& chunk = *location.chunk;
  if (chunk.large()) {
    location.slot = chunk.LargeSlot();
    location.size = chunk.large_size;
    if (chunk.large_size == 0 || at != location.slot + kCanaryBytes) {
      Die("an allocation was freed twice, or was never made");
    }
    return location;
  }
  const std::ptrdiff_t offset = at - chunk.base - static_cast<std::ptrdiff_t>(kCanaryBytes);
  const auto number = offset < 0 ? std::nullopt : chunk.slots.LiveAt(static_cast<std::size_t>(offset));
  if (!number) Die("an allocation was freed twice, or was never made");
  location.number = *number;
  location.slot = chunk.base + offset;
  location.size = chunk.slots.SizeOf(*number);
  return location;
}

void LockedPool::Free(void* memory) noexcept {
  if (memory == nullptr) return;
  // The memory is the parent's, who frees it. Its pages are wiped here, or are not here at all.
  if (InForkedChild()) return;
  // Wiping much is done without the lock; the slot is neither live nor free meanwhile.
  constexpr std::size_t kWipeUnderLock = 4096;
  std::unique_lock lock(mutex_);
  const Location location = Find(memory);
  Chunk* chunk = location.chunk;
  if (chunk->large()) {
    chunk->large_size = 0;
  } else {
    chunk->slots.Retire(location.number);
  }
  stats_.bytes_in_use -= location.size;
  --stats_.allocations;
  if (location.size > kWipeUnderLock) lock.unlock();
  switch (canaries_.Check(location.slot, location.size)) {
    case Canaries::State::kWhole: break;
    case Canaries::State::kBrokenBefore: Die("something wrote before the start of an allocation");
    case Canaries::State::kBrokenBehind: Die("something wrote beyond the end of an allocation");
  }
  Cleanse(location.slot, location.size + kCanaryOverhead);
  NOMYO_POISON(location.slot, location.size + kCanaryOverhead);
  if (!lock.owns_lock()) lock.lock();
  if (chunk->large()) {
    Retain(chunk);
    return;
  }
  List& open = open_[chunk->locked][chunk->slots.size_class()];
  if (chunk->slots.full()) Push(open, chunk);
  chunk->slots.Give(location.number);
  if (chunk->slots.empty()) {
    Remove(open, chunk);
    Retain(chunk);
  }
}

void LockedPool::NoteDegraded() noexcept {
  if (InForkedChild()) return;
  std::lock_guard lock(mutex_);
  setbacks_.degraded = true;
}

std::size_t LockedPool::SizeOf(const void* memory) const noexcept {
  if (InForkedChild()) return 0;
  std::lock_guard lock(mutex_);
  return Find(memory).size;
}

bool LockedPool::IsLocked(const void* memory) const noexcept {
  if (InForkedChild()) return false;
  std::lock_guard lock(mutex_);
  return Find(memory).chunk->locked;
}

void LockedPool::Trim() noexcept {
  if (InForkedChild()) return;
  std::lock_guard lock(mutex_);
  UnmapIdle(std::nullopt);
}

LockedPool::Stats LockedPool::stats() const noexcept {
  if (InForkedChild()) return {};
  std::lock_guard lock(mutex_);
  return stats_;
}

LockedPool::Setbacks LockedPool::setbacks() const noexcept {
  if (InForkedChild()) return {};
  std::lock_guard lock(mutex_);
  return setbacks_;
}

std::string_view LockedPool::Mechanism() const noexcept {
  if (InForkedChild()) return NameOf(LockMechanism::kNone);
  std::lock_guard lock(mutex_);
  if (stats_.bytes_locked == 0) return NameOf(setbacks_.refused ? LockMechanism::kNone : pages_->Expected());
  for (std::size_t each = 0; each < kLockMechanisms; ++each) {
    if (stats_.bytes_locked_by[each] == stats_.bytes_locked) return NameOf(static_cast<LockMechanism>(each));
  }
  return "mixed";
}

Status LockedPool::ChooseMechanism(std::string_view name) {
  if (InForkedChild()) return ForkedChildError();
  auto wanted = LockMechanism::kNone;
  for (const auto each : {LockMechanism::kMemfdSecret, LockMechanism::kMlock, LockMechanism::kVirtualLock}) {
    if (NameOf(each) == name) wanted = each;
  }
  if (wanted == LockMechanism::kNone) {
    return Error{Code::kUnsupported, "There is no way of locking memory of this name: use memfd_secret or mlock."};
  }
  const std::string wanted_name(name);
  std::lock_guard lock(mutex_);
  if (chosen_ == wanted) return Status::Ok();
  if (chosen_ != LockMechanism::kNone) {
    return Error{Code::kInvalidArgument, "This process locks its memory by " + std::string(NameOf(chosen_)) +
                                             ", as was chosen before; " + wanted_name +
                                             " cannot be had beside it. All clients of a process share one pool: "
                                             "choose the same mechanism for all."};
  }
  UnmapIdle(true);
  for (std::size_t each = 0; each < kLockMechanisms; ++each) {
    if (each == static_cast<std::size_t>(wanted) || stats_.bytes_locked_by[each] == 0) continue;
    return Error{Code::kInvalidArgument,
                 "Memory that is in use is locked by " + std::string(NameOf(static_cast<LockMechanism>(each))) +
                     " already. Choose " + wanted_name + " before anything secret is put into memory."};
  }
  if (const LockFailure failure = pages_->Choose(wanted)) {
    setbacks_.refused = failure;
    return Error{Code::kMemoryLock, pages_->ExplainRefusal(0, failure)};
  }
  chosen_ = wanted;
  return Status::Ok();
}

LockMechanism LockedPool::chosen() const noexcept {
  if (InForkedChild()) return LockMechanism::kNone;
  std::lock_guard lock(mutex_);
  return chosen_;
}

std::optional<std::size_t> LockedPool::LockBudget() const {
  const PageAllocator::LockLimit limit = pages_->Limit();
  // The soft limit is raised to the hard one when need be.
  if (limit.exempt) return std::nullopt;
  return limit.hard ? limit.hard : std::nullopt;
}

Error LockedPool::Explain(const Refusal& refusal, std::size_t size) const {
  if (refusal == Refusal::kForked) return ForkedChildError();
  if (refusal == Refusal::kLock) return {Code::kMemoryLock, pages_->ExplainRefusal(size, refusal.failure)};
  return {Code::kOutOfMemory, "The system has no memory to give: " + std::to_string(size) + " bytes were asked for."};
}

}  // namespace nomyo
