#include "core/memory/locked_pool.h"

#include <algorithm>
#include <bit>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <utility>

#include "core/memory/cleanse.h"
#include "core/memory/fork_guard.h"
#include "core/memory/kernel_random.h"

#if defined(__SANITIZE_ADDRESS__)
#define NOMYO_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define NOMYO_ASAN 1
#endif
#endif
#if defined(NOMYO_ASAN)
#include <sanitizer/asan_interface.h>
#include <sanitizer/lsan_interface.h>
#define NOMYO_POISON(at, bytes) ASAN_POISON_MEMORY_REGION(at, bytes)
#define NOMYO_UNPOISON(at, bytes) ASAN_UNPOISON_MEMORY_REGION(at, bytes)
// What only the pool points to is no leak.
#define NOMYO_LEAK_ROOT(at, bytes) __lsan_register_root_region(at, bytes)
#define NOMYO_NO_LEAK_ROOT(at, bytes) __lsan_unregister_root_region(at, bytes)
#else
#define NOMYO_POISON(at, bytes) static_cast<void>(0)
#define NOMYO_UNPOISON(at, bytes) static_cast<void>(0)
#define NOMYO_LEAK_ROOT(at, bytes) static_cast<void>(0)
#define NOMYO_NO_LEAK_ROOT(at, bytes) static_cast<void>(0)
#endif

namespace nomyo {
namespace {

constexpr std::size_t kCanaryBytes = 16;
constexpr std::size_t kOverhead = 2 * kCanaryBytes;

// Usable sizes of the classes. OpenSSL's allocations are mostly under 1 KiB, so steps are finest there; a step of at
// most a half above bounds what is lost inside a slot to a third.
constexpr std::size_t kClassBytes[] = {16,   32,   48,   64,   80,    96,    112,   128,   160,   192,
                                       224,  256,  320,  384,  448,   512,   768,   1024,  1536,  2048,
                                       3072, 4096, 6144, 8192, 12288, 16384, 24576, 32768, 49152, 65536};

// A chunk holds at least four slots of its class, and is no larger than it need be: each page of it counts against the
// lock limit. {largest class, bytes of the chunk before rounding up to pages}.
struct Geometry {
  std::size_t largest_class;
  std::size_t bytes;
};
constexpr Geometry kGeometry[] = {{512, std::size_t{16} * 1024},
                                  {8192, std::size_t{64} * 1024},
                                  {32768, 4 * (32768 + kOverhead)},
                                  {65536, 4 * (65536 + kOverhead)}};

constexpr std::size_t RoundUp(std::size_t value, std::size_t to) {
  return (value + to - 1) / to * to;
}

std::size_t ClassOf(std::size_t size) {
  // The first 8 classes are 16 bytes apart: no search for the commonest sizes.
  if (size <= 128) return (size + 15) / 16 - 1;
  return static_cast<std::size_t>(std::lower_bound(std::begin(kClassBytes) + 8, std::end(kClassBytes), size) -
                                  std::begin(kClassBytes));
}

std::size_t GeometryOf(std::size_t size_class) {
  std::size_t geometry = 0;
  while (kGeometry[geometry].largest_class < kClassBytes[size_class]) ++geometry;
  return geometry;
}

[[noreturn]] void Die(const char* what) {
  static_cast<void>(
      std::fprintf(stderr, "nomyo-native: aborting, because memory that holds keys is corrupt: %s\n", what));
  static_cast<void>(std::fflush(stderr));
  std::abort();
}

}  // namespace

struct LockedPool::Canary {
  std::uint64_t word[2];
};

struct LockedPool::Chunk {
  std::byte* base = nullptr;
  std::size_t bytes = 0;
  std::size_t first_frame = 0;
  std::size_t frames = 0;
  std::size_t geometry = 0;  // kGeometries: a large allocation's own
  std::size_t size_class = kClasses;
  std::uint32_t slot_bytes = 0;
  std::uint32_t slots = 0;
  std::uint32_t used = 0;
  std::uint32_t hint = 0;  // the first word of `free` that may have a bit
  bool locked = false;
  LockMechanism mechanism = LockMechanism::kNone;
  std::uint64_t idle_since = 0;
  std::size_t large_size = 0;  // 0: the large allocation is not live
  std::vector<std::uint64_t> free;
  std::vector<std::uint64_t> live;
  std::vector<std::uint32_t> sizes;
  Chunk* previous = nullptr;
  Chunk* next = nullptr;

  bool large() const { return geometry == kGeometries; }

  // Format divides an empty chunk into slots of a class.
  void Format(std::size_t to_class) {
    hint = 0;
    used = 0;
    if (size_class == to_class) return;
    size_class = to_class;
    slot_bytes = static_cast<std::uint32_t>(kClassBytes[to_class] + kOverhead);
    slots = static_cast<std::uint32_t>(bytes / slot_bytes);
    const std::size_t words = (slots + 63) / 64;
    free.assign(words, ~std::uint64_t{0});
    if (slots % 64 != 0) free.back() = (std::uint64_t{1} << (slots % 64)) - 1;
    live.assign(words, 0);
    sizes.assign(slots, 0);
  }

  // A large allocation ends within 16 bytes of the guard page.
  std::byte* LargeSlot() const { return base + (bytes - RoundUp(large_size, 16) - kOverhead); }
};

// Location is a live allocation, found from its address.
struct LockedPool::Location {
  Chunk* chunk = nullptr;
  std::byte* slot = nullptr;
  std::uint32_t index = 0;
  std::size_t size = 0;
};

LockedPool::LockedPool(std::unique_ptr<PageAllocator> pages, Options options)
    : pages_(std::move(pages)), frames_(nullptr, &std::free) {
  GuardForks();
  static_assert(std::size(kClassBytes) == kClasses && std::size(kGeometry) == kGeometries);
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
  std::uint8_t key[sizeof canary_key_];
  if (base_ == nullptr || !frames_ || !KernelRandom(key)) {
    // Nothing is served from a pool without address space or canaries: every allocation is refused.
    reserved_ = 0;
    return;
  }
  std::memcpy(canary_key_.data(), key, sizeof key);
  free_frames_.emplace(0, frames);
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

// ---- address space
// -----------------------------------------------------------------------------------------------------

std::optional<std::size_t> LockedPool::TakeFrames(std::size_t count) {
  for (auto at = free_frames_.begin(); at != free_frames_.end(); ++at) {
    if (at->second < count) continue;
    const std::size_t first = at->first;
    const std::size_t left = at->second - count;
    free_frames_.erase(at);
    if (left != 0) free_frames_.emplace(first + count, left);
    return first;
  }
  return std::nullopt;
}

void LockedPool::GiveFrames(std::size_t first, std::size_t count) {
  auto after = free_frames_.lower_bound(first);
  if (after != free_frames_.end() && first + count == after->first) {
    count += after->second;
    after = free_frames_.erase(after);
  }
  if (after != free_frames_.begin()) {
    auto before = std::prev(after);
    if (before->first + before->second == first) {
      before->second += count;
      return;
    }
  }
  free_frames_.emplace(first, count);
}

// ---- chunks
// ------------------------------------------------------------------------------------------------------------

LockedPool::Chunk* LockedPool::MapChunk(std::size_t bytes, bool locked, Refusal* refusal) {
  bytes = RoundUp(bytes, page_);
  const std::size_t frames = RoundUp(bytes + 2 * page_, frame_bytes_) / frame_bytes_;
  auto chunk = std::make_unique<Chunk>();
  const auto first = TakeFrames(frames);
  if (!first) {
    *refusal = Refusal::kMemory;
    return nullptr;
  }
  chunk->base = base_ + (*first * frame_bytes_ + page_);
  chunk->bytes = bytes;
  chunk->first_frame = *first;
  chunk->frames = frames;
  chunk->locked = locked;
  using Outcome = PageAllocator::Outcome;
  PageAllocator::Mapped mapped;
  if (locked) {
    mapped = pages_->MapLocked(chunk->base, bytes);
  } else {
    mapped.outcome = pages_->MapUnlocked(chunk->base, bytes);
  }
  if (mapped.outcome != Outcome::kLocked && mapped.outcome != Outcome::kUnlocked) {
    GiveFrames(*first, frames);
    *refusal = mapped.outcome == Outcome::kLockRefused ? Refusal::kLock : Refusal::kMemory;
    refusal->failure = mapped.failure;
    if (*refusal == Refusal::kLock) setbacks_.refused = mapped.failure;
    return nullptr;
  }
  chunk->mechanism = mapped.mechanism;
  if (locked && mapped.failure) setbacks_.weaker = mapped.failure;
  NOMYO_LEAK_ROOT(chunk->base, bytes);
  NOMYO_POISON(chunk->base, bytes);
  std::fill_n(&frames_[*first], frames, chunk.get());
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
  std::fill_n(&frames_[chunk->first_frame], chunk->frames, nullptr);
  stats_.bytes_mapped -= chunk->bytes;
  if (chunk->locked) {
    stats_.bytes_locked -= chunk->bytes;
    stats_.bytes_locked_by[static_cast<std::size_t>(chunk->mechanism)] -= chunk->bytes;
  }
  --stats_.chunks;
  // A range that could not be reserved again is left out of use.
  if (pages_->Unmap(chunk->base, chunk->bytes)) GiveFrames(chunk->first_frame, chunk->frames);
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

// ---- canaries
// ----------------------------------------------------------------------------------------------------------

LockedPool::Canary LockedPool::CanaryFor(const std::byte* slot, std::size_t size) const noexcept {
  const auto address = static_cast<std::uint64_t>(reinterpret_cast<std::uintptr_t>(slot));
  return {{canary_key_[0] ^ address, canary_key_[1] ^ std::rotl(address, 32) ^ size}};
}

void LockedPool::Seal(std::byte* slot, std::size_t size) const noexcept {
  const Canary canary = CanaryFor(slot, size);
  NOMYO_UNPOISON(slot, kOverhead + size);
  std::memcpy(slot, &canary, kCanaryBytes);
  std::memcpy(slot + kCanaryBytes + size, &canary, kCanaryBytes);
  NOMYO_POISON(slot, kCanaryBytes);
  NOMYO_POISON(slot + kCanaryBytes + size, kCanaryBytes);
}

void LockedPool::CheckCanaries(const std::byte* slot, std::size_t size) const noexcept {
  NOMYO_UNPOISON(slot, kOverhead + size);
  const Canary expected = CanaryFor(slot, size);
  Canary before;
  Canary after;
  std::memcpy(&before, slot, kCanaryBytes);
  std::memcpy(&after, slot + kCanaryBytes + size, kCanaryBytes);
  // Without a branch on where they differ.
  if (((before.word[0] ^ expected.word[0]) | (before.word[1] ^ expected.word[1])) != 0) {
    Die("something wrote before the start of an allocation");
  }
  if (((after.word[0] ^ expected.word[0]) | (after.word[1] ^ expected.word[1])) != 0) {
    Die("something wrote beyond the end of an allocation");
  }
}

// ---- allocation
// ----------------------------------------------------------------------------------------------------------

void* LockedPool::TakeSlot(Chunk* chunk, std::size_t size) {
  std::uint32_t word = chunk->hint;
  while (chunk->free[word] == 0) ++word;
  chunk->hint = word;
  const auto bit = static_cast<std::uint32_t>(std::countr_zero(chunk->free[word]));
  const std::uint64_t mask = std::uint64_t{1} << bit;
  const std::uint32_t index = word * 64 + bit;
  chunk->free[word] &= ~mask;
  chunk->live[word] |= mask;
  chunk->sizes[index] = static_cast<std::uint32_t>(size);
  if (++chunk->used == chunk->slots) Remove(open_[chunk->locked][chunk->size_class], chunk);
  std::byte* slot = chunk->base + std::size_t{index} * chunk->slot_bytes;
  Seal(slot, size);
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
    chunk->Format(size_class);
    Push(open, chunk);
  }
  return TakeSlot(open.head, size);
}

void* LockedPool::TakeLarge(std::size_t size, bool locked, Refusal* refusal) {
  const std::size_t bytes = RoundUp(RoundUp(size, 16) + kOverhead, page_);
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
  Seal(slot, size);
  return slot + kCanaryBytes;
}

void* LockedPool::Allocate(std::size_t size, LockPolicy policy, Refusal* refusal) noexcept try {
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
  const std::size_t size_class = small ? ClassOf(size) : kClasses;
  const auto take = [&](bool locked) {
    return small ? TakeSmall(size, size_class, locked, refusal) : TakeLarge(size, locked, refusal);
  };
  void* memory = take(policy != LockPolicy::kOff);
  if (memory == nullptr && UnmapIdle(std::nullopt)) memory = take(policy != LockPolicy::kOff);
  if (memory == nullptr && small && policy != LockPolicy::kOff) {
    // No more can be locked: a slot of a larger class is locked already.
    for (std::size_t larger = size_class + 1; larger < kClasses && memory == nullptr; ++larger) {
      if (Chunk* chunk = open_[true][larger].head) memory = TakeSlot(chunk, size);
    }
  }
  if (memory == nullptr && (policy == LockPolicy::kPreferred || policy == LockPolicy::kPublic)) {
    memory = take(false);
    if (memory != nullptr && policy == LockPolicy::kPreferred) setbacks_.degraded = true;
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
  if (offset < 0) Die("an allocation was freed twice, or was never made");
  location.index = static_cast<std::uint32_t>(offset) / chunk.slot_bytes;
  location.slot = chunk.base + std::size_t{location.index} * chunk.slot_bytes;
  if (location.index >= chunk.slots || at != location.slot + kCanaryBytes ||
      (chunk.live[location.index / 64] >> (location.index % 64) & 1) == 0) {
    Die("an allocation was freed twice, or was never made");
  }
  location.size = chunk.sizes[location.index];
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
  const std::uint64_t mask = std::uint64_t{1} << (location.index % 64);
  if (chunk->large()) {
    chunk->large_size = 0;
  } else {
    chunk->live[location.index / 64] &= ~mask;
  }
  stats_.bytes_in_use -= location.size;
  --stats_.allocations;
  if (location.size > kWipeUnderLock) lock.unlock();
  CheckCanaries(location.slot, location.size);
  Cleanse(location.slot, location.size + kOverhead);
  NOMYO_POISON(location.slot, location.size + kOverhead);
  if (!lock.owns_lock()) lock.lock();
  if (chunk->large()) {
    Retain(chunk);
    return;
  }
  List& open = open_[chunk->locked][chunk->size_class];
  const std::uint32_t word = location.index / 64;
  chunk->free[word] |= mask;
  chunk->hint = std::min(chunk->hint, word);
  if (chunk->used-- == chunk->slots) Push(open, chunk);
  if (chunk->used == 0) {
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
                     " already. Choose " + wanted_name + " before the first client or SecureBuffer is made."};
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
