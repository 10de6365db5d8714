#include "core/json/growing_text.h"

#include <cstring>

namespace nomyo {

Result<GrowingText> GrowingText::Start(std::size_t expected, std::size_t limit) {
  auto block = SecureBuffer::Allocate(std::min(expected, limit) + 2 * kLeastRoom);
  if (!block) return block.error();
  return GrowingText(std::move(*block), limit);
}

Status GrowingText::Drain() {
  if (used_ > limit_) return Error{Code::kTooLarge, "The text is longer than it may be."};
  const std::size_t most = limit_ + 2 * kLeastRoom;
  auto larger = SecureBuffer::Allocate(std::max(used_ + kLeastRoom, std::min(2 * block_.size(), most)));
  if (!larger) return larger.error();
  std::memcpy(larger->data(), block_.data(), used_);
  block_ = std::move(*larger);
  return Status::Ok();
}

}  // namespace nomyo
