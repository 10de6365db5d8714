// Slots: which slots of a chunk are free. Pure bookkeeping in ordinary memory: it touches no byte of the chunk.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "core/memory/canary.h"
#include "core/memory/size_class.h"

namespace nomyo {

// A slot is free, live, or neither while it is wiped. One thread at a time.
class Slots {
 public:
  // Format divides a chunk of `bytes` into slots of a class, all of them free. Before it is divided again all its slots
  // must be free. Throws std::bad_alloc, and the chunk must be divided again before it is used.
  void Format(std::size_t bytes, std::size_t size_class) {
    hint_ = 0;
    used_ = 0;
    if (size_class_ == size_class) return;
    size_class_ = kSizeClasses;  // none, until all is there
    slot_bytes_ = static_cast<std::uint32_t>(kClassBytes[size_class] + kCanaryOverhead);
    count_ = static_cast<std::uint32_t>(bytes / slot_bytes_);
    const std::size_t words = (count_ + 63) / 64;
    free_.assign(words, ~std::uint64_t{0});
    if (count_ % 64 != 0) free_.back() = (std::uint64_t{1} << (count_ % 64)) - 1;
    live_.assign(words, 0);
    sizes_.assign(count_, 0);
    size_class_ = size_class;
  }

  std::size_t size_class() const noexcept { return size_class_; }
  std::uint32_t count() const noexcept { return count_; }
  bool full() const noexcept { return used_ == count_; }
  bool empty() const noexcept { return used_ == 0; }

  // Take makes the first free slot live, for `size` bytes, and returns its number. There must be one.
  std::uint32_t Take(std::size_t size) noexcept {
    std::uint32_t word = hint_;
    while (free_[word] == 0) ++word;
    hint_ = word;
    const auto bit = static_cast<std::uint32_t>(std::countr_zero(free_[word]));
    const std::uint64_t mask = std::uint64_t{1} << bit;
    free_[word] &= ~mask;
    live_[word] |= mask;
    ++used_;
    const std::uint32_t slot = word * 64 + bit;
    sizes_[slot] = static_cast<std::uint32_t>(size);
    return slot;
  }

  // OffsetOf is where a slot begins in its chunk, in bytes.
  std::size_t OffsetOf(std::uint32_t slot) const noexcept { return std::size_t{slot} * slot_bytes_; }

  // LiveAt returns the live slot that begins at `offset`, exactly; nothing when there is none.
  std::optional<std::uint32_t> LiveAt(std::size_t offset) const noexcept {
    const std::size_t slot = offset / slot_bytes_;
    if (slot >= count_ || offset % slot_bytes_ != 0 || (live_[slot / 64] >> (slot % 64) & 1) == 0) return std::nullopt;
    return static_cast<std::uint32_t>(slot);
  }

  // SizeOf is the size that a live slot was taken for.
  std::size_t SizeOf(std::uint32_t slot) const noexcept { return sizes_[slot]; }

  // Retire ends a live slot's life; Give makes it free, once it is wiped.
  void Retire(std::uint32_t slot) noexcept { live_[slot / 64] &= ~(std::uint64_t{1} << (slot % 64)); }
  void Give(std::uint32_t slot) noexcept {
    const std::uint32_t word = slot / 64;
    free_[word] |= std::uint64_t{1} << (slot % 64);
    hint_ = std::min(hint_, word);
    --used_;
  }

 private:
  std::size_t size_class_ = kSizeClasses;
  std::uint32_t slot_bytes_ = 1;
  std::uint32_t count_ = 0;
  std::uint32_t used_ = 0;  // not free
  std::uint32_t hint_ = 0;  // the first word of free_ that may have a bit
  std::vector<std::uint64_t> free_;
  std::vector<std::uint64_t> live_;
  std::vector<std::uint32_t> sizes_;
};

}  // namespace nomyo
