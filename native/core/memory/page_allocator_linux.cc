// Linux: memfd_secret(2) where the kernel has it, else private memory with mlock(2).
//
// memfd_secret pages are locked, and are taken out of the kernel's own map of memory: ptrace, /proc/PID/mem,
// process_vm_readv and core dumps cannot read them, not even for root. They are MAP_SHARED, so MADV_WIPEONFORK does not
// apply to them; MADV_DONTFORK keeps them out of children altogether.
#if defined(__linux__)

#include <fcntl.h>
#include <linux/capability.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "core/memory/page_allocator.h"

#if !defined(SYS_memfd_secret)
#define SYS_memfd_secret 447  // the same number on every architecture that has it
#endif

namespace nomyo {
namespace {

int MemfdSecret() {
  return static_cast<int>(syscall(SYS_memfd_secret, O_CLOEXEC));
}

std::size_t LockedBytesOfProcess() {
  // VmLck of /proc/self/status: the kernel's own figure, other libraries' locks included.
  std::size_t kib = 0;
  if (std::FILE* status = std::fopen("/proc/self/status", "re")) {
    char line[256];
    while (std::fgets(line, sizeof line, status) != nullptr) {
      if (std::strncmp(line, "VmLck:", 6) != 0) continue;
      kib = std::strtoull(line + 6, nullptr, 10);
      break;
    }
    static_cast<void>(std::fclose(status));
  }
  return kib * 1024;
}

bool HasCapIpcLock() {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2]{};
  if (syscall(SYS_capget, &header, data) != 0) return false;
  return (data[CAP_TO_INDEX(CAP_IPC_LOCK)].effective & CAP_TO_MASK(CAP_IPC_LOCK)) != 0;
}

std::optional<std::size_t> LimitValue(rlim_t value) {
  if (value == RLIM_INFINITY) return std::nullopt;
  return static_cast<std::size_t>(value);
}

std::string LimitText(const std::optional<std::size_t>& value) {
  return value ? std::to_string(*value) + " bytes" : "unlimited";
}

class LinuxPageAllocator final : public PageAllocator {
 public:
  LinuxPageAllocator() {
    const int fd = MemfdSecret();
    has_secret_ = fd >= 0;
    if (has_secret_) close(fd);
    use_secret_ = has_secret_;
  }

  std::size_t PageSize() const override { return page_size_; }

  std::byte* Reserve(std::size_t bytes) override {
    void* memory = mmap(nullptr, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) return nullptr;
    madvise(memory, bytes, MADV_DONTDUMP);
    return static_cast<std::byte*>(memory);
  }

  Outcome MapLocked(std::byte* at, std::size_t bytes) override {
    Outcome outcome = TryLocked(at, bytes);
    if (outcome == Outcome::kLockRefused && RaiseSoftLimit()) outcome = TryLocked(at, bytes);
    return outcome;
  }

  Outcome MapUnlocked(std::byte* at, std::size_t bytes) override {
    return MapPrivate(at, bytes) ? Outcome::kUnlocked : Outcome::kNoMemory;
  }

  bool Unmap(std::byte* at, std::size_t bytes) override {
    // One call replaces the pages by reserved address space, so that no other mapping can slip in between.
    void* reserved = mmap(at, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
    if (reserved == MAP_FAILED) {
      // Only when the number of mappings is at the system's limit. The pages must go all the same.
      munmap(at, bytes);
      return false;
    }
    madvise(at, bytes, MADV_DONTDUMP);
    return true;
  }

  std::string_view Mechanism() const override { return use_secret_ ? "memfd_secret" : "mlock"; }

  bool SetMechanism(std::string_view name) override {
    if (name == "memfd_secret" && has_secret_) {
      use_secret_ = true;
      return true;
    }
    if (name == "mlock") {
      use_secret_ = false;
      return true;
    }
    return false;
  }

  LockLimit Limit() const override {
    rlimit limit{};
    if (getrlimit(RLIMIT_MEMLOCK, &limit) != 0) return {};
    return {LimitValue(limit.rlim_cur), LimitValue(limit.rlim_max), HasCapIpcLock()};
  }

  std::string ExplainRefusal(std::size_t bytes) const override {
    const LockLimit limit = Limit();
    return "Memory could not be locked: " + std::to_string(bytes) + " bytes were asked for, this process has locked " +
           std::to_string(LockedBytesOfProcess()) + " bytes already, and its limit (RLIMIT_MEMLOCK) is " +
           LimitText(limit.soft) + " (hard limit: " + LimitText(limit.hard) +
           "). Raise the limit: `ulimit -l unlimited` in the shell or /etc/security/limits.conf (memlock) for an "
           "account, `LimitMEMLOCK=infinity` in a systemd unit, `--ulimit memlock=-1:-1` for Docker, and for "
           "Kubernetes "
           "the container runtime's limit on the node or the capability IPC_LOCK in the container's securityContext. "
           "Or send less at a time, or choose secureMemory 'preferred'.";
  }

 private:
  Outcome TryLocked(std::byte* at, std::size_t bytes) {
    // A secret mapping may fail for want of a file descriptor; then the second choice is tried for this chunk.
    if (use_secret_ && MapSecret(at, bytes)) return Outcome::kLocked;
    if (!MapPrivate(at, bytes)) return Outcome::kNoMemory;
    if (mlock(at, bytes) == 0) return Outcome::kLocked;
    Unmap(at, bytes);
    return Outcome::kLockRefused;
  }

  static bool MapSecret(std::byte* at, std::size_t bytes) {
    const int fd = MemfdSecret();
    if (fd < 0) return false;
    // Mapped where the kernel likes and then moved: a refused MAP_FIXED would leave a hole in the reservation, into
    // which another thread's mapping could fall.
    void* memory = MAP_FAILED;
    if (ftruncate(fd, static_cast<off_t>(bytes)) == 0) {
      memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    }
    close(fd);
    if (memory == MAP_FAILED) return false;
    if (madvise(memory, bytes, MADV_DONTFORK) != 0 ||
        mremap(memory, bytes, bytes, MREMAP_MAYMOVE | MREMAP_FIXED, at) == MAP_FAILED) {
      munmap(memory, bytes);
      return false;
    }
    return true;
  }

  static bool MapPrivate(std::byte* at, std::size_t bytes) {
    if (mmap(at, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED) {
      return false;
    }
    madvise(at, bytes, MADV_DONTDUMP);
    madvise(at, bytes, MADV_WIPEONFORK);
    madvise(at, bytes, MADV_NOHUGEPAGE);  // khugepaged would copy the pages and leave the copies unwiped
    return true;
  }

  // RaiseSoftLimit lifts the soft limit to the hard one, as every process may; false when it is there already.
  static bool RaiseSoftLimit() {
    rlimit limit{};
    if (getrlimit(RLIMIT_MEMLOCK, &limit) != 0 || limit.rlim_cur >= limit.rlim_max) return false;
    limit.rlim_cur = limit.rlim_max;
    return setrlimit(RLIMIT_MEMLOCK, &limit) == 0;
  }

  const std::size_t page_size_ = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  bool has_secret_ = false;
  bool use_secret_ = false;
};

}  // namespace

std::unique_ptr<PageAllocator> NewSystemPageAllocator() {
  return std::make_unique<LinuxPageAllocator>();
}

}  // namespace nomyo

#endif  // defined(__linux__)
