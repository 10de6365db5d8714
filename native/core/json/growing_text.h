// GrowingText: JSON text that is written into pool memory which grows with it, up to a limit. One thread at a time.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

#include "core/json/text_sink.h"
#include "core/memory/secure_buffer.h"
#include "core/result.h"

namespace nomyo {

class GrowingText final : public TextSink {
 public:
  // Start takes memory for `expected` bytes; the text may have `limit` at most, some kLeastRoom more before that is
  // noticed. Errors of this and of writing: kMemoryLock, kOutOfMemory; of writing also kTooLarge.
  static Result<GrowingText> Start(std::size_t expected, std::size_t limit);

  std::span<const std::uint8_t> bytes() const noexcept { return block_.bytes().first(used_); }
  std::span<std::uint8_t> bytes() noexcept { return block_.bytes().first(used_); }
  std::size_t size() const noexcept { return used_; }

  // Take gives the memory away, longer than the text: its first size() bytes are the text, the rest is zero or worth
  // nothing. What is left here is good for nothing but destruction.
  SecureBuffer Take() noexcept { return std::move(block_); }

 private:
  GrowingText(SecureBuffer block, std::size_t limit) : TextSink(std::move(block)), limit_(limit) {}
  Status Drain() override;

  std::size_t limit_;
};

}  // namespace nomyo
