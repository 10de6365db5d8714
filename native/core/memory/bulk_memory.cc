#include "core/memory/bulk_memory.h"

#include <cstdlib>
#include <utility>

#include "core/memory/large_blocks.h"

namespace nomyo {

BulkMemory BulkMemory::Allocate(std::size_t size) noexcept {
  if (size == 0) return {};
  auto* const data = size >= kMapped ? TakeLargeBlock(size) : static_cast<std::uint8_t*>(std::malloc(size));
  return data == nullptr ? BulkMemory() : BulkMemory(data, size);
}

void BulkMemory::Free(void* data, std::size_t size) noexcept {
  if (size >= kMapped) {
    GiveLargeBlock(static_cast<std::uint8_t*>(data), size);
  } else {
    std::free(data);
  }
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
