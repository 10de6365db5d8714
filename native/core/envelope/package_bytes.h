// PackageBytes: the bytes of a sealed package. They are public, so they are in ordinary memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string_view>

namespace nomyo {

class PackageBytes {
 public:
  // Reserve makes room for `more` bytes after the present ones, growing by half at least; false when there is no
  // memory.
  [[nodiscard]] bool Reserve(std::size_t more) {
    if (more <= capacity_ - size_) return true;
    std::size_t wanted = capacity_ + capacity_ / 2;
    if (wanted < size_ + more) wanted = size_ + more;
    void* grown = std::realloc(data_.get(), wanted);
    if (grown == nullptr) return false;
    static_cast<void>(data_.release());
    data_.reset(static_cast<std::uint8_t*>(grown));
    capacity_ = wanted;
    return true;
  }

  // Append copies text into room that was reserved.
  void Append(std::string_view text) {
    std::memcpy(data_.get() + size_, text.data(), text.size());
    size_ += text.size();
  }

  // Extend returns the next `count` bytes, of room that was reserved, to be written by the caller.
  std::uint8_t* Extend(std::size_t count) {
    std::uint8_t* at = data_.get() + size_;
    size_ += count;
    return at;
  }

  const std::uint8_t* data() const noexcept { return data_.get(); }
  std::size_t size() const noexcept { return size_; }

  // Release gives the memory away; it is freed with std::free.
  std::uint8_t* Release() noexcept {
    size_ = capacity_ = 0;
    return data_.release();
  }

 private:
  struct Free {
    void operator()(std::uint8_t* data) const noexcept { std::free(data); }
  };
  std::unique_ptr<std::uint8_t, Free> data_;
  std::size_t size_ = 0;
  std::size_t capacity_ = 0;
};

}  // namespace nomyo
