#if defined(__linux__)

#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>

#include "core/memory/fork_guard.h"

namespace nomyo {
namespace {

constexpr unsigned kMark = 0x6e6f6d79;

// Set in the child by the C library's fork(): for what runs programs in the kernel's place and takes the advice below
// without following it (qemu-user 7.2 does).
std::atomic<bool> forked{false};

struct Guard {
  const volatile unsigned* mark = nullptr;  // in a page that children find wiped; null where there is no such page
  pid_t owner = 0;
};

Guard Begin() noexcept {
  Guard guard;
  guard.owner = getpid();
  // Without it, which is for want of memory only, the kernel's mark is what there is.
  static_cast<void>(pthread_atfork(nullptr, nullptr, [] { forked.store(true, std::memory_order_relaxed); }));
  const auto size = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  void* page = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (page == MAP_FAILED) return guard;
  if (madvise(page, size, MADV_WIPEONFORK) != 0) {
    munmap(page, size);  // Linux before 4.14
    return guard;
  }
  *static_cast<unsigned*>(page) = kMark;
  guard.mark = static_cast<const volatile unsigned*>(page);
  return guard;
}

const Guard& TheGuard() noexcept {
  static const Guard guard = Begin();
  return guard;
}

}  // namespace

void GuardForks() noexcept {
  static_cast<void>(TheGuard());
}

bool InForkedChild() noexcept {
  const Guard& guard = TheGuard();
  if (forked.load(std::memory_order_relaxed)) return true;
  return guard.mark != nullptr ? *guard.mark != kMark : getpid() != guard.owner;
}

}  // namespace nomyo

#else
#error "This file is for Linux: native/CMakeLists.txt takes each system's own."
#endif
