// BulkMemory: ordinary memory for much data that is no secret of this package's: sealed packages, and text that the
// caller has asked for as a JavaScript string.
//
// Fresh pages cost more than what is done with them: 12 MB are some 3 000 page faults, each over a microsecond on a
// virtual machine (measured: half of the time it took to seal 9 MB), and even as huge pages they are filled with zeros
// first (14 % of it; up to 60 % when the host has to find memory as well). So large blocks are mapped by themselves,
// ask for huge pages, and are kept for the next ones when they are freed: the system takes their pages when it needs
// them (MADV_FREE), so they stand in no one's way. They stay out of core dumps. One thread at a time on a block.
#pragma once

#include <cstddef>
#include <cstdint>

namespace nomyo {

class BulkMemory {
 public:
  // From here on a block is mapped by itself, in bytes.
  static constexpr std::size_t kMapped = std::size_t{1} << 20;

  BulkMemory() = default;
  ~BulkMemory();
  BulkMemory(BulkMemory&& other) noexcept;
  BulkMemory& operator=(BulkMemory&& other) noexcept;
  BulkMemory(const BulkMemory&) = delete;
  BulkMemory& operator=(const BulkMemory&) = delete;

  // Allocate returns at least `size` bytes of undefined content, aligned to 16; an empty block when there is no memory
  // or `size` is 0. Any thread.
  static BulkMemory Allocate(std::size_t size) noexcept;

  std::uint8_t* data() const noexcept { return data_; }
  // size is how many bytes there are: at least what was asked for.
  std::size_t size() const noexcept { return size_; }
  bool empty() const noexcept { return data_ == nullptr; }

  // Release gives the block away. Free takes it back, with the size that it had. Any thread.
  std::uint8_t* Release() noexcept;
  static void Free(void* data, std::size_t size) noexcept;

 private:
  BulkMemory(std::uint8_t* data, std::size_t size) : data_(data), size_(size) {}

  std::uint8_t* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace nomyo
