#if defined(__linux__)

#include "core/memory/large_blocks.h"

#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <mutex>
#include <span>

namespace nomyo {
namespace {

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
    if (size > kKeptLargeBytes || madvise(data, size, MADV_FREE) != 0) return false;
    std::lock_guard lock(mutex_);
    while (count_ == blocks_.size() || bytes_ > kKeptLargeBytes - size) {
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

}  // namespace

std::uint8_t* TakeLargeBlock(std::size_t& size) noexcept {
  if (size > SIZE_MAX - 2 * kHugePage) return nullptr;
  size = (size + kHugePage - 1) / kHugePage * kHugePage;
  std::uint8_t* const kept = free_blocks.Take(size);
  return kept != nullptr ? kept : MapAligned(size);
}

void GiveLargeBlock(std::uint8_t* data, std::size_t size) noexcept {
  if (!free_blocks.Keep(data, size)) munmap(data, size);
}

}  // namespace nomyo

#else
#error "This file is for Linux: native/CMakeLists.txt takes each system's own."
#endif
