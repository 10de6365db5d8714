#include "core/memory/address_frames.h"

#include <iterator>
#include <utility>

namespace nomyo {

void AddressFrames::Reset(std::size_t count) {
  free_.clear();
  if (count != 0) free_.emplace(0, count);
}

std::optional<AddressFrames::Piece> AddressFrames::Take(std::size_t count) {
  for (auto at = free_.begin(); at != free_.end(); ++at) {
    if (at->second < count) continue;
    // First what can fail.
    if (at->second > count) free_.emplace(at->first + count, at->second - count);
    Piece piece;
    piece.first_ = at->first;
    piece.count_ = count;
    piece.node_ = free_.extract(at);
    return piece;
  }
  return std::nullopt;
}

void AddressFrames::Give(Piece piece) noexcept {
  auto after = free_.lower_bound(piece.first_);
  if (after != free_.end() && piece.first_ + piece.count_ == after->first) {
    piece.count_ += after->second;
    after = free_.erase(after);
  }
  if (after != free_.begin()) {
    auto before = std::prev(after);
    if (before->first + before->second == piece.first_) {
      before->second += piece.count_;
      return;
    }
  }
  piece.node_.key() = piece.first_;
  piece.node_.mapped() = piece.count_;
  free_.insert(std::move(piece.node_));
}

}  // namespace nomyo
