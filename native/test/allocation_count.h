// How often the calling thread has asked for memory with `new`, so that a test can say "no more for more input"; and
// what happens when there is none.
#pragma once

#include <cstddef>

namespace nomyo {

// Counts since the thread began; always 0 under a sanitizer, which has its own `new`.
std::size_t AllocationCount() noexcept;

// While it lives, the thread that made it is given memory `given` times more, and then std::bad_alloc: once, as when
// another thread has taken all of it for a moment, or each time from then on.
class FailingAllocation {
 public:
  enum class Then { kRecovers, kStays };

  FailingAllocation(std::size_t given, Then then) noexcept;
  ~FailingAllocation();
  FailingAllocation(const FailingAllocation&) = delete;
  FailingAllocation& operator=(const FailingAllocation&) = delete;

  // failed returns whether it has come to that. Never under a sanitizer.
  bool failed() const noexcept;
};

}  // namespace nomyo
