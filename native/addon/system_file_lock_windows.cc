#if defined(_WIN32)

#include "addon/system_file_lock.h"

#include <windows.h>

// Node's own: a descriptor of its C runtime means nothing to another's.
extern "C" void* uv_get_osfhandle(int fd);

namespace nomyo::addon {

FileLock TryFileLock(int fd, std::string* reason) {
  OVERLAPPED at{};
  if (LockFileEx(uv_get_osfhandle(fd), LOCKFILE_EXCLUSIVE_LOCK | LOCKFILE_FAIL_IMMEDIATELY, 0, 1, 0, &at) != 0) {
    return FileLock::kLocked;
  }
  if (GetLastError() == ERROR_LOCK_VIOLATION) return FileLock::kHeld;
  *reason = "LockFileEx failed with " + std::to_string(GetLastError());
  return FileLock::kFailed;
}

}  // namespace nomyo::addon

#else
#error "This file is for Windows: native/CMakeLists.txt takes each system's own."
#endif
