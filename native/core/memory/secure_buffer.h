// SecureBuffer: the only type that may hold a secret in this package.
//
// Its bytes are in locked memory that is absent from dumps, and are wiped before they are given back. One thread at a
// time on a buffer; Allocate and CopyOf, any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "core/result.h"

namespace nomyo {

class SecureBuffer {
 public:
  SecureBuffer() = default;
  ~SecureBuffer();
  SecureBuffer(SecureBuffer&& other) noexcept;
  SecureBuffer& operator=(SecureBuffer&& other) noexcept;
  SecureBuffer(const SecureBuffer&) = delete;
  SecureBuffer& operator=(const SecureBuffer&) = delete;

  // Allocate returns a zero-filled buffer of `size` bytes (0 is allowed), obeying the calling thread's Locking.
  // Errors: kMemoryLock with a message that names the limit and the remedy; kOutOfMemory. The buffer may be moved to
  // another thread.
  static Result<SecureBuffer> Allocate(std::size_t size);

  // CopyOf is Allocate followed by a copy of `bytes`. Errors: kMemoryLock, kOutOfMemory.
  static Result<SecureBuffer> CopyOf(std::span<const std::uint8_t> bytes);

  std::uint8_t* data() noexcept { return data_; }
  const std::uint8_t* data() const noexcept { return data_; }
  std::size_t size() const noexcept { return size_; }
  bool empty() const noexcept { return size_ == 0; }
  std::span<std::uint8_t> bytes() noexcept { return {data_, size_}; }
  std::span<const std::uint8_t> bytes() const noexcept { return {data_, size_}; }

  // Truncate lowers size() to `size` and wipes what falls away. `size` must not be over size().
  void Truncate(std::size_t size) noexcept;

  // Reset wipes and gives the memory back; size() is 0 afterwards.
  void Reset() noexcept;

  // Wipe overwrites the bytes with zeros and keeps the memory. Does nothing in a child that fork() made, where the
  // memory may not be mapped.
  void Wipe() noexcept;

  // locked returns whether these very bytes are locked.
  bool locked() const noexcept;

 private:
  std::uint8_t* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace nomyo
