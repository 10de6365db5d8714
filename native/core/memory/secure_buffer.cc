#include "core/memory/secure_buffer.h"

#include <cstring>
#include <utility>

#include "core/memory/cleanse.h"
#include "core/memory/fork_guard.h"
#include "core/memory/locked_pool.h"
#include "core/memory/locking.h"

namespace nomyo {

SecureBuffer::~SecureBuffer() {
  Reset();
}

SecureBuffer::SecureBuffer(SecureBuffer&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

SecureBuffer& SecureBuffer::operator=(SecureBuffer&& other) noexcept {
  if (this != &other) {
    Reset();
    data_ = std::exchange(other.data_, nullptr);
    size_ = std::exchange(other.size_, 0);
  }
  return *this;
}

Result<SecureBuffer> SecureBuffer::Allocate(std::size_t size) {
  SecureBuffer buffer;
  if (size == 0) return buffer;
  LockedPool& pool = LockedPool::Instance();
  LockedPool::Refusal refusal{};
  void* memory = pool.Allocate(size, CurrentLocking(), &refusal);
  if (memory == nullptr) return pool.Explain(refusal, size);
  buffer.data_ = static_cast<std::uint8_t*>(memory);
  buffer.size_ = size;
  return buffer;
}

Result<SecureBuffer> SecureBuffer::CopyOf(std::span<const std::uint8_t> bytes) {
  auto buffer = Allocate(bytes.size());
  if (buffer && !bytes.empty()) std::memcpy(buffer->data(), bytes.data(), bytes.size());
  return buffer;
}

void SecureBuffer::Truncate(std::size_t size) noexcept {
  Cleanse(data_ + size, size_ - size);
  size_ = size;
}

void SecureBuffer::Reset() noexcept {
  LockedPool::Instance().Free(data_);
  data_ = nullptr;
  size_ = 0;
}

void SecureBuffer::Wipe() noexcept {
  if (!InForkedChild()) Cleanse(data_, size_);
}

bool SecureBuffer::locked() const noexcept {
  return data_ != nullptr && LockedPool::Instance().IsLocked(data_);
}

}  // namespace nomyo
