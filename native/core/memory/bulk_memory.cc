#include "core/memory/bulk_memory.h"

#include <cstdlib>
#include <utility>

#if defined(__linux__)
#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <mutex>
#include <span>
#endif

namespace nomyo {
namespace {

#if defined(__linux__)

// The size of a huge page where the usual one is 4 KiB. On other machines a hint that does no harm.
constexpr std::size_t kHugePage = std::size_t{2} << 20;

// A mapping whose start is aligned to a huge page, for the kernel gives them to aligned parts only.
std::uint8_t* MapAligned(std::size_t size) {
  void* memory = mmap(nullptr, size + kHugePage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return nullptr;
  auto* const first = static_cast<std::uint8_t*>(memory);
  const std::size_t before = (kHugePage - reinterpret_cast<std::uintptr_t>(first) % kHugePage) % kHugePage;
  if (before != 0) munmap(first, before);
  munmap(first + before + size, kHugePage - before);
  // Refusals change nothing but the speed and the size of a core dump.
  madvise(first + before, size, MADV_HUGEPAGE);
  madvise(first + before, size, MADV_DONTDUMP);
  return first + before;
}

// FreeBlocks keeps mappings that are not in use, the latest at the end. The kernel takes their pages back when it needs
// them (MADV_FREE), and only then has to give fresh ones, filled with zeros.
class FreeBlocks {
 public:
  // Take returns a mapping of at least `size` bytes, and at most twice that, or null. `size` becomes its size.
  std::uint8_t* Take(std::size_t& size) noexcept {
    std::lock_guard lock(mutex_);
    Block* best = nullptr;
    for (Block& block : Blocks()) {
      if (block.size < size || block.size / 2 > size) continue;
      // Of equals the latest: it is the likeliest to be in the processor's caches.
      if (best == nullptr || block.size <= best->size) best = &block;
    }
    if (best == nullptr) return nullptr;
    const Block taken = *best;
    Remove(best);
    size = taken.size;
    return taken.data;
  }

  // Keep takes a mapping; false when it is larger than all that is kept. Older ones are unmapped to make room.
  bool Keep(std::uint8_t* data, std::size_t size) noexcept {
    if (size > BulkMemory::kKept || madvise(data, size, MADV_FREE) != 0) return false;
    std::lock_guard lock(mutex_);
    while (count_ == blocks_.size() || bytes_ > BulkMemory::kKept - size) {
      munmap(blocks_[0].data, blocks_[0].size);
      Remove(blocks_.data());
    }
    blocks_[count_++] = {data, size};
    bytes_ += size;
    return true;
  }

 private:
  struct Block {
    std::uint8_t* data;
    std::size_t size;
  };

  std::span<Block> Blocks() noexcept { return std::span(blocks_).first(count_); }

  void Remove(Block* block) noexcept {
    bytes_ -= block->size;
    std::copy(block + 1, blocks_.data() + count_, block);
    --count_;
  }

  std::mutex mutex_;
  std::array<Block, 16> blocks_{};
  std::size_t count_ = 0;
  std::size_t bytes_ = 0;
};

constinit FreeBlocks free_blocks;

#endif

}  // namespace

BulkMemory BulkMemory::Allocate(std::size_t size) noexcept {
  if (size == 0) return {};
#if defined(__linux__)
  if (size >= kMapped) {
    if (size > SIZE_MAX - 2 * kHugePage) return {};
    std::size_t whole = (size + kHugePage - 1) / kHugePage * kHugePage;
    std::uint8_t* mapped = free_blocks.Take(whole);
    if (mapped == nullptr) mapped = MapAligned(whole);
    return mapped == nullptr ? BulkMemory() : BulkMemory(mapped, whole);
  }
#endif
  auto* const data = static_cast<std::uint8_t*>(std::malloc(size));
  return data == nullptr ? BulkMemory() : BulkMemory(data, size);
}

void BulkMemory::Free(void* data, std::size_t size) noexcept {
#if defined(__linux__)
  if (size >= kMapped) {
    if (!free_blocks.Keep(static_cast<std::uint8_t*>(data), size)) munmap(data, size);
    return;
  }
#else
  static_cast<void>(size);
#endif
  std::free(data);
}

BulkMemory::~BulkMemory() {
  if (data_ != nullptr) Free(data_, size_);
}

BulkMemory::BulkMemory(BulkMemory&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

BulkMemory& BulkMemory::operator=(BulkMemory&& other) noexcept {
  if (this != &other) {
    if (data_ != nullptr) Free(data_, size_);
    data_ = std::exchange(other.data_, nullptr);
    size_ = std::exchange(other.size_, 0);
  }
  return *this;
}

std::uint8_t* BulkMemory::Release() noexcept {
  size_ = 0;
  return std::exchange(data_, nullptr);
}

}  // namespace nomyo
