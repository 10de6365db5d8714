// TextSink: what JSON text is written into, a block of pool memory at a time. What writing can fail with is decided by
// where a full block goes: kTooLarge over a limit, kMemoryLock, kOutOfMemory, and kCrypto where it is encrypted.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <utility>

#include "core/memory/secure_buffer.h"
#include "core/result.h"

namespace nomyo {

// Whoever derives from it says where a full block goes. One thread at a time.
class TextSink {
 public:
  // Room returns at least kLeastRoom bytes to write to, after which Wrote says how many were used. Error: Drain's.
  static constexpr std::size_t kLeastRoom = 64;
  Result<std::span<std::uint8_t>> Room() {
    if (block_.size() - used_ < kLeastRoom) {
      if (const Status status = Drain(); !status) return status.error();
    }
    return block_.bytes().subspan(used_);
  }
  void Wrote(std::size_t count) noexcept { used_ += count; }

  // Append copies `bytes` in. After an error some of them may have gone in. Error: Drain's.
  Status Append(std::span<const std::uint8_t> bytes) {
    while (!bytes.empty()) {
      auto room = Room();
      if (!room) return room.error();
      const std::size_t count = std::min(room->size(), bytes.size());
      std::memcpy(room->data(), bytes.data(), count);
      Wrote(count);
      bytes = bytes.subspan(count);
    }
    return Status::Ok();
  }

 protected:
  // `block` has kLeastRoom bytes at least, beside what Drain may leave in it.
  explicit TextSink(SecureBuffer block) noexcept : block_(std::move(block)) {}
  TextSink(TextSink&&) noexcept = default;
  TextSink& operator=(TextSink&&) noexcept = default;
  ~TextSink() = default;

  // Drain takes bytes from the front of the block and lowers `used_`, so that kLeastRoom bytes are free.
  virtual Status Drain() = 0;

  SecureBuffer block_;
  std::size_t used_ = 0;  // bytes at the block's front that have been written
};

}  // namespace nomyo
