// PackageBytes: the bytes of a sealed package. They are public, so they are in ordinary memory. One thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <utility>

#include "core/memory/bulk_memory.h"

namespace nomyo {

class PackageBytes {
 public:
  // Reserve makes room for `more` bytes after the present ones, growing by half at least; false when there is no
  // memory.
  [[nodiscard]] bool Reserve(std::size_t more) {
    if (more <= memory_.size() - size_) return true;
    std::size_t wanted = memory_.size() + memory_.size() / 2;
    if (wanted < size_ + more) wanted = size_ + more;
    BulkMemory grown = BulkMemory::Allocate(wanted);
    if (grown.empty()) return false;
    if (size_ != 0) std::memcpy(grown.data(), memory_.data(), size_);
    memory_ = std::move(grown);
    return true;
  }

  // Append copies text into room that was reserved.
  void Append(std::string_view text) {
    std::memcpy(memory_.data() + size_, text.data(), text.size());
    size_ += text.size();
  }

  // Extend returns the next `count` bytes, of room that was reserved, to be written by the caller.
  std::uint8_t* Extend(std::size_t count) {
    std::uint8_t* at = memory_.data() + size_;
    size_ += count;
    return at;
  }

  const std::uint8_t* data() const noexcept { return memory_.data(); }
  std::size_t size() const noexcept { return size_; }

  // Release gives the memory away; size() of its bytes are the package.
  BulkMemory Release() noexcept {
    size_ = 0;
    return std::move(memory_);
  }

 private:
  BulkMemory memory_;
  std::size_t size_ = 0;
};

}  // namespace nomyo
