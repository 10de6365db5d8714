#include "core/memory/lock_failure.h"

#include <cerrno>
#include <system_error>

namespace nomyo {

std::string_view NameOf(LockFailure::Cause cause) {
  switch (cause) {
    case LockFailure::Cause::kNone: return "none";
    case LockFailure::Cause::kLimit: return "limit";
    case LockFailure::Cause::kJail: return "jail";
    case LockFailure::Cause::kUnavailable: return "unavailable";
    case LockFailure::Cause::kDescriptors: return "descriptors";
    case LockFailure::Cause::kMemory: return "memory";
  }
  return "none";
}

// The C library's own strerrorname_np is younger than the oldest glibc that the package runs on, and musl has none.
std::string ErrorName(int error) {
  switch (error) {
    case EPERM: return "EPERM";
    case EACCES: return "EACCES";
    case ENOSYS: return "ENOSYS";
    case ENOMEM: return "ENOMEM";
    case EAGAIN: return "EAGAIN";
    case EINVAL: return "EINVAL";
    case EMFILE: return "EMFILE";
    case ENFILE: return "ENFILE";
    case EBADF: return "EBADF";
    case EINTR: return "EINTR";
    case EFAULT: return "EFAULT";
    default: return "error " + std::to_string(error);
  }
}

std::string Text(const LockFailure& failure) {
  // errno's numbers on Linux and macOS, GetLastError's on Windows: what the system category knows.
  const std::string words = std::system_category().message(failure.error);
  return std::string(failure.call) + ": " + ErrorName(failure.error) + " (" + std::to_string(failure.error) + ", " +
         words + ")";
}

}  // namespace nomyo
