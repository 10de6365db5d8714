#include "core/memory/secure_buffer.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstring>
#include <utility>

#include "core/memory/cleanse.h"
#include "core/memory/lock_policy.h"

namespace nomyo {
namespace {

std::size_t RoundUpToPage(std::size_t size) {
  const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  return (size + page - 1) / page * page;
}

}  // namespace

SecureBuffer::~SecureBuffer() {
  Reset();
}

SecureBuffer::SecureBuffer(SecureBuffer&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)),
      capacity_(std::exchange(other.capacity_, 0)) {}

SecureBuffer& SecureBuffer::operator=(SecureBuffer&& other) noexcept {
  if (this != &other) {
    Reset();
    data_ = std::exchange(other.data_, nullptr);
    size_ = std::exchange(other.size_, 0);
    capacity_ = std::exchange(other.capacity_, 0);
  }
  return *this;
}

Result<SecureBuffer> SecureBuffer::Allocate(std::size_t size) {
  SecureBuffer buffer;
  if (size == 0) return buffer;
  const std::size_t capacity = RoundUpToPage(size);
  void* memory = mmap(nullptr, capacity, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return Error{Code::kOutOfMemory, "The system has no memory to give."};
  if (CurrentLockPolicy() != LockPolicy::kOff && mlock(memory, capacity) != 0 &&
      CurrentLockPolicy() == LockPolicy::kRequired) {
    munmap(memory, capacity);
    return Error{Code::kMemoryLock, "Memory could not be locked. Raise the limit (ulimit -l)."};
  }
  buffer.data_ = static_cast<std::uint8_t*>(memory);
  buffer.size_ = size;
  buffer.capacity_ = capacity;
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
  if (data_ != nullptr) {
    Cleanse(data_, capacity_);
    munmap(data_, capacity_);
  }
  data_ = nullptr;
  size_ = capacity_ = 0;
}

bool SecureBuffer::locked() const noexcept {
  return data_ != nullptr;
}

}  // namespace nomyo
