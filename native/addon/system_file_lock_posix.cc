#if defined(__linux__) || defined(__APPLE__)

#include "addon/system_file_lock.h"

#include <sys/file.h>

#include <cerrno>
#include <cstring>

namespace nomyo::addon {

FileLock TryFileLock(int fd, std::string* reason) {
  int result = 0;
  do {
    result = flock(fd, LOCK_EX | LOCK_NB);
  } while (result != 0 && errno == EINTR);
  if (result == 0) return FileLock::kLocked;
  if (errno == EWOULDBLOCK) return FileLock::kHeld;
  *reason = std::string("flock failed: ") + std::strerror(errno);
  return FileLock::kFailed;
}

}  // namespace nomyo::addon

#else
#error "This file is for Linux and macOS: native/CMakeLists.txt takes each system's own."
#endif
