#include "test/allocation_count.h"

#include <cstdlib>
#include <new>

namespace {

thread_local std::size_t count = 0;

struct Failure {
  bool armed = false;
  bool stays = false;
  bool failed = false;
  std::size_t given = 0;
};
thread_local Failure failure;

// Whether this call is one that fails.
[[maybe_unused]] bool Fails() noexcept {
  if (!failure.armed) return false;
  if (failure.failed) return failure.stays;
  if (failure.given-- > 0) return false;
  failure.failed = true;
  return true;
}

}  // namespace

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)

void* operator new(std::size_t size) {
  ++count;
  if (Fails()) throw std::bad_alloc();
  if (void* const memory = std::malloc(size == 0 ? 1 : size)) return memory;
  throw std::bad_alloc();
}

void operator delete(void* memory) noexcept {
  std::free(memory);
}

void operator delete(void* memory, std::size_t) noexcept {
  std::free(memory);
}

#endif

namespace nomyo {

std::size_t AllocationCount() noexcept {
  return count;
}

FailingAllocation::FailingAllocation(std::size_t given, Then then) noexcept {
  failure = {true, then == Then::kStays, false, given};
}

FailingAllocation::~FailingAllocation() {
  failure = {};
}

bool FailingAllocation::failed() const noexcept {
  return failure.failed;
}

}  // namespace nomyo
