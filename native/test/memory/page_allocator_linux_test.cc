// The system's page allocator where a call of the kernel's fails halfway.
#if defined(__linux__)

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdarg>

#include "core/memory/page_allocator.h"

namespace {
// The next moves fail after the kernel has unmapped where they should have gone.
bool moves_leave_holes = false;
int moves_failed = 0;
}  // namespace

// Stands before the C library's, in this program.
extern "C" void* mremap(void* old, std::size_t old_bytes, std::size_t bytes, int flags, ...) noexcept {
  va_list rest;
  va_start(rest, flags);
  void* to = (flags & MREMAP_FIXED) != 0 ? va_arg(rest, void*) : nullptr;
  va_end(rest);
  if (moves_leave_holes && to != nullptr) {
    ++moves_failed;
    munmap(to, bytes);
    errno = ENOMEM;
    return MAP_FAILED;
  }
  return reinterpret_cast<void*>(syscall(SYS_mremap, old, old_bytes, bytes, flags, to));
}

namespace nomyo {
namespace {

TEST(LinuxPageAllocator, AMoveThatFailsLeavesNoHoleInTheReservation) {
  const auto pages = NewSystemPageAllocator();
  if (pages->Choose(LockMechanism::kMemfdSecret)) GTEST_SKIP() << "there is no memfd_secret here";
  const std::size_t page = pages->PageSize();
  std::byte* reserved = pages->Reserve(8 * page);
  ASSERT_NE(reserved, nullptr);
  moves_leave_holes = true;
  const PageAllocator::Mapped mapped = pages->MapLocked(reserved + 2 * page, 4 * page);
  moves_leave_holes = false;
  EXPECT_NE(mapped.outcome, PageAllocator::Outcome::kLocked);
  ASSERT_GE(moves_failed, 1);
  // msync says whether all of a range is mapped.
  EXPECT_EQ(msync(reserved, 8 * page, MS_ASYNC), 0);
  EXPECT_EQ(pages->MapLocked(reserved + 2 * page, 4 * page).outcome, PageAllocator::Outcome::kLocked);
  pages->Unmap(reserved, 8 * page);
}

}  // namespace
}  // namespace nomyo

#endif
