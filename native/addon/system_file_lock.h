// The system's call under addon/file_lock.h (system_file_lock_posix.cc and so on).
#pragma once

#include <string>

namespace nomyo::addon {

enum class FileLock { kLocked, kHeld, kFailed };

// TryFileLock locks an open file for this process alone, without waiting, until it is closed; kHeld when another has
// it, kFailed with the call and why in `reason`. Any thread.
FileLock TryFileLock(int fd, std::string* reason);

}  // namespace nomyo::addon
