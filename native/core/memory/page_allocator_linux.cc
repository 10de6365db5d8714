// Linux: memfd_secret(2) where the kernel has it, else private memory with mlock(2).
//
// memfd_secret pages are locked, and are taken out of the kernel's own map of memory: ptrace, /proc/PID/mem,
// process_vm_readv and core dumps cannot read them, not even for root. They are MAP_SHARED, so MADV_WIPEONFORK does not
// apply to them; MADV_DONTFORK keeps them out of children altogether.
//
// Each chunk is a file of its own, closed once it is mapped: its pages go when it is unmapped. (One file for all chunks
// would need one descriptor for good, and a chunk half the time to map, 5 µs for 11 µs; but secretmem can punch no
// holes, so what was unmapped would stay in memory, and be there again when that part is mapped the next time.) A spare
// file is kept open for the moment when the process has used its descriptors up.
#if defined(__linux__)

#include <fcntl.h>
#include <linux/capability.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <utility>

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
  ~LinuxPageAllocator() override {
    if (SpareIsOurs()) close(spare_);
  }

  std::size_t PageSize() const override { return page_size_; }

  std::byte* Reserve(std::size_t bytes) override {
    void* memory = mmap(nullptr, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) return nullptr;
    madvise(memory, bytes, MADV_DONTDUMP);
    return static_cast<std::byte*>(memory);
  }

  Mapped MapLocked(std::byte* at, std::size_t bytes) override {
    Mapped mapped = TryLocked(at, bytes);
    if (mapped.outcome == Outcome::kLockRefused && RaiseSoftLimit()) mapped = TryLocked(at, bytes);
    return mapped;
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

  LockFailure Choose(LockMechanism mechanism) override {
    if (mechanism == LockMechanism::kMemfdSecret && !ProbeSecret()) return no_secret_;
    if (mechanism != LockMechanism::kMemfdSecret && mechanism != LockMechanism::kMlock) {
      // A literal, which ends in NUL.
      // NOLINTNEXTLINE(bugprone-suspicious-stringview-data-usage)
      return {NameOf(mechanism).data(), ENOSYS, LockFailure::Cause::kUnavailable};
    }
    chosen_ = mechanism;
    return {};
  }

  LockMechanism Expected() override {
    if (chosen_ != LockMechanism::kNone) return chosen_;
    return ProbeSecret() ? LockMechanism::kMemfdSecret : LockMechanism::kMlock;
  }

  LockLimit Limit() const override {
    rlimit limit{};
    if (getrlimit(RLIMIT_MEMLOCK, &limit) != 0) return {};
    return {LimitValue(limit.rlim_cur), LimitValue(limit.rlim_max), HasCapIpcLock()};
  }

  std::string ExplainRefusal(std::size_t bytes, const LockFailure& failure) const override {
    const std::string cause = "Memory could not be locked (" + Text(failure) + "): ";
    if (failure.cause == LockFailure::Cause::kUnavailable) {
      return cause +
             "memfd_secret, which was demanded, is not to be had here. It wants Linux 5.14 or newer, before 6.5 with "
             "`secretmem.enable=1` on the kernel's command line, and in a container a seccomp profile that lets the "
             "call through. Or demand no mechanism: then mlock is used where memfd_secret is not.";
    }
    if (failure.cause == LockFailure::Cause::kDescriptors) {
      return cause +
             "no file descriptor is left, and memfd_secret, which was demanded, needs one for a moment. Close files, "
             "or raise the limit of open files (`ulimit -n`, `LimitNOFILE=`).";
    }
    const LockLimit limit = Limit();
    const std::string asked = cause + std::to_string(bytes) + " bytes were asked for, this process has locked " +
                              std::to_string(LockedBytesOfProcess()) +
                              " bytes already, and its limit (RLIMIT_MEMLOCK) is " + LimitText(limit.soft) +
                              " (hard limit: " + LimitText(limit.hard) + ")";
    if (failure.cause == LockFailure::Cause::kLimit) {
      return asked +
             ". Raise the limit: `ulimit -l unlimited` in the shell or /etc/security/limits.conf (memlock) for an "
             "account, `LimitMEMLOCK=infinity` in a systemd unit, `--ulimit memlock=-1:-1` for Docker, and for "
             "Kubernetes the container runtime's limit on the node or the capability IPC_LOCK in the container's "
             "securityContext. Or send less at a time, or let memory go unlocked (locking 'preferred').";
    }
    if (failure.cause == LockFailure::Cause::kJail) {
      return asked + ", which is not the cause: the call " + failure.call +
             " itself is forbidden here, by a filter of system calls (the seccomp profile of a container, "
             "`SystemCallFilter=` of a systemd unit) or a security module. Allow it there; docs/deployment.md shows "
             "how. Or let memory go unlocked (locking 'preferred').";
    }
    return asked +
           ", which is not the cause: the system, or this process's control group, has no memory or no mapping left to "
           "give (sysctl vm.max_map_count). Send less at a time, or give it more memory.";
  }

 private:
  Mapped TryLocked(std::byte* at, std::size_t bytes) {
    LockFailure failure;
    if (chosen_ != LockMechanism::kMlock) {
      failure = MapSecret(at, bytes);
      if (!failure) return {Outcome::kLocked, LockMechanism::kMemfdSecret, {}};
      // The limit is the same for mlock.
      if (chosen_ == LockMechanism::kMemfdSecret || failure.cause == LockFailure::Cause::kLimit) {
        return {Outcome::kLockRefused, LockMechanism::kNone, failure};
      }
    }
    // The second choice for this chunk; the pool is told why.
    if (!MapPrivate(at, bytes)) {
      return {Outcome::kNoMemory, LockMechanism::kNone, {"mmap", errno, LockFailure::Cause::kMemory}};
    }
    if (mlock(at, bytes) == 0) return {Outcome::kLocked, LockMechanism::kMlock, failure};
    failure = LimitedFailure("mlock", errno, bytes);
    Unmap(at, bytes);
    return {Outcome::kLockRefused, LockMechanism::kNone, failure};
  }

  // ProbeSecret returns whether memfd_secret can be called. Its file becomes the spare one.
  bool ProbeSecret() {
    if (!spare_made_ && !no_secret_) {
      LockFailure failure;
      const int fd = TakeFile(&failure);
      if (fd >= 0) KeepSpare(fd);
      // For want of a descriptor it cannot be told; the next chunk tells.
    }
    return !no_secret_;
  }

  // TakeFile returns an empty file of memfd_secret, or -1 with the failure.
  int TakeFile(LockFailure* failure) {
    if (no_secret_) {
      *failure = no_secret_;
      return -1;
    }
    const int fd = MemfdSecret();
    if (fd >= 0) return fd;
    *failure = {"memfd_secret", errno, LockFailure::Cause::kMemory};
    switch (failure->error) {
      case EMFILE:
      case ENFILE:
        if (SpareIsOurs()) {
          *failure = {};
          return std::exchange(spare_, -1);
        }
        spare_ = -1;
        failure->cause = LockFailure::Cause::kDescriptors;
        break;
      // It will not come back: not asked again.
      case ENOSYS:
        failure->cause = LockFailure::Cause::kUnavailable;
        no_secret_ = *failure;
        break;
      case EPERM:
      case EACCES:
        failure->cause = LockFailure::Cause::kJail;
        no_secret_ = *failure;
        break;
      default: break;
    }
    return -1;
  }

  // KeepSpare keeps `fd`, or a new file, for when there is no descriptor left.
  void KeepSpare(int fd = -1) {
    if (spare_ < 0) spare_ = fd >= 0 ? std::exchange(fd, -1) : MemfdSecret();
    if (fd >= 0) close(fd);
    struct stat facts{};
    if (spare_ < 0 || fstat(spare_, &facts) != 0) return;
    spare_made_ = true;
    spare_device_ = facts.st_dev;
    spare_inode_ = facts.st_ino;
  }

  // Somebody may have closed all descriptors that he did not know, and the number be another file's now.
  bool SpareIsOurs() const {
    struct stat facts{};
    return spare_ >= 0 && fstat(spare_, &facts) == 0 && facts.st_dev == spare_device_ && facts.st_ino == spare_inode_ &&
           facts.st_size == 0;
  }

  LockFailure MapSecret(std::byte* at, std::size_t bytes) {
    LockFailure failure;
    const int fd = TakeFile(&failure);
    if (fd < 0) return failure;
    // Mapped where the kernel likes and then moved: a refused MAP_FIXED would leave a hole in the reservation, into
    // which another thread's mapping could fall.
    void* memory = MAP_FAILED;
    if (ftruncate(fd, static_cast<off_t>(bytes)) != 0) {
      failure = {"ftruncate", errno, LockFailure::Cause::kMemory};
    } else {
      memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
      if (memory == MAP_FAILED) failure = LimitedFailure("mmap", errno, bytes);
    }
    close(fd);
    // The descriptor that was just given back is there for it, unless another thread was faster.
    if (spare_ < 0) KeepSpare();
    if (memory == MAP_FAILED) return failure;
    if (madvise(memory, bytes, MADV_DONTFORK) != 0) {
      failure = {"madvise", errno, LockFailure::Cause::kMemory};
    } else if (mremap(memory, bytes, bytes, MREMAP_MAYMOVE | MREMAP_FIXED, at) == MAP_FAILED) {
      failure = {"mremap", errno, LockFailure::Cause::kMemory};
      RefillHole(at, bytes);
    }
    if (failure) munmap(memory, bytes);
    return failure;
  }

  // RefillHole reserves [at, at + bytes) again if a call that failed has unmapped it. Where the kernel had not come
  // that far, nothing changes: a mapping that is there is never replaced, as it may be another thread's.
  static void RefillHole(std::byte* at, std::size_t bytes) {
    void* reserved =
        mmap(at, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
    if (reserved == MAP_FAILED) return;
    if (reserved == at) {
      madvise(at, bytes, MADV_DONTDUMP);
    } else {
      munmap(reserved, bytes);  // before Linux 4.17 the flag is not known, and the address a wish
    }
  }

  // LimitedFailure judges the failure of a call that counts against the lock limit. Both mlock and the mapping of
  // memfd_secret answer with several errors when it is reached, so it is what is locked that tells.
  LockFailure LimitedFailure(const char* call, int error, std::size_t bytes) const {
    const LockLimit limit = Limit();
    const bool over = !limit.exempt && limit.soft && LockedBytesOfProcess() + bytes > *limit.soft;
    auto cause = LockFailure::Cause::kMemory;
    if (over && (error == ENOMEM || error == EAGAIN || error == EPERM)) {
      cause = LockFailure::Cause::kLimit;
    } else if (error == EPERM || error == EACCES || error == ENOSYS) {
      cause = LockFailure::Cause::kJail;
    }
    return {call, error, cause};
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
  LockMechanism chosen_ = LockMechanism::kNone;
  LockFailure no_secret_;  // set once memfd_secret is known not to be had
  int spare_ = -1;
  bool spare_made_ = false;
  dev_t spare_device_ = 0;
  ino_t spare_inode_ = 0;
};

}  // namespace

std::unique_ptr<PageAllocator> NewSystemPageAllocator() {
  return std::make_unique<LinuxPageAllocator>();
}

}  // namespace nomyo

#else
#error "This file is for Linux: native/CMakeLists.txt takes each system's own."
#endif
