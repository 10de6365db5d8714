// AddressFrames: which frames of a range of address space are free. Pure bookkeeping: it maps and touches nothing. One
// thread at a time.
#pragma once

#include <cstddef>
#include <map>
#include <optional>

namespace nomyo {

class AddressFrames {
 public:
  // Frames that were taken, in one piece. It carries what giving them back needs, so that this cannot fail.
  class Piece {
   public:
    Piece() = default;
    std::size_t first() const noexcept { return first_; }
    std::size_t count() const noexcept { return count_; }

   private:
    friend class AddressFrames;
    std::size_t first_ = 0;
    std::size_t count_ = 0;
    std::map<std::size_t, std::size_t>::node_type node_;
  };

  // Reset makes frames 0 to `count` - 1 free, and forgets what was before. Throws std::bad_alloc.
  void Reset(std::size_t count);

  // Take returns the first piece of `count` free frames, which is not 0; nothing when there is none so long. Throws
  // std::bad_alloc, with nothing changed.
  std::optional<Piece> Take(std::size_t count);

  // Give makes a piece free again; neighbours become one.
  void Give(Piece piece) noexcept;

  // pieces is how many free pieces there are (count).
  std::size_t pieces() const noexcept { return free_.size(); }

 private:
  std::map<std::size_t, std::size_t> free_;  // first frame → count, never touching one another
};

}  // namespace nomyo
