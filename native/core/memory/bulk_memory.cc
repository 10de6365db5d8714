#include "core/memory/bulk_memory.h"

#include <cstdlib>
#include <utility>

#if defined(__linux__)
#include <sys/mman.h>
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

#endif

}  // namespace

BulkMemory BulkMemory::Allocate(std::size_t size) noexcept {
  if (size == 0) return {};
#if defined(__linux__)
  if (size >= kMapped) {
    if (size > SIZE_MAX - 2 * kHugePage) return {};
    const std::size_t whole = (size + kHugePage - 1) / kHugePage * kHugePage;
    std::uint8_t* const mapped = MapAligned(whole);
    return mapped == nullptr ? BulkMemory() : BulkMemory(mapped, whole);
  }
#endif
  auto* const data = static_cast<std::uint8_t*>(std::malloc(size));
  return data == nullptr ? BulkMemory() : BulkMemory(data, size);
}

void BulkMemory::Free(void* data, std::size_t size) noexcept {
#if defined(__linux__)
  if (size >= kMapped) {
    munmap(data, size);
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
