#include "addon/file_lock.h"

#include <string>

#include "addon/error.h"
#include "addon/function.h"

#if defined(_WIN32)
#include <windows.h>
// Node's own: a descriptor of its C runtime means nothing to another's.
extern "C" void* uv_get_osfhandle(int fd);
#else
#include <sys/file.h>

#include <cerrno>
#include <cstring>
#endif

namespace nomyo::addon {
namespace {

enum class Outcome { kLocked, kHeld, kFailed };

Outcome TryLock(int fd, std::string* reason) {
#if defined(_WIN32)
  OVERLAPPED at{};
  if (LockFileEx(uv_get_osfhandle(fd), LOCKFILE_EXCLUSIVE_LOCK | LOCKFILE_FAIL_IMMEDIATELY, 0, 1, 0, &at) != 0) {
    return Outcome::kLocked;
  }
  if (GetLastError() == ERROR_LOCK_VIOLATION) return Outcome::kHeld;
  *reason = "LockFileEx failed with " + std::to_string(GetLastError());
  return Outcome::kFailed;
#else
  int result = 0;
  do {
    result = flock(fd, LOCK_EX | LOCK_NB);
  } while (result != 0 && errno == EINTR);
  if (result == 0) return Outcome::kLocked;
  if (errno == EWOULDBLOCK) return Outcome::kHeld;
  *reason = std::string("flock failed: ") + std::strerror(errno);
  return Outcome::kFailed;
#endif
}

Napi::Value TryLockFile(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  if (!info[0].IsNumber()) {
    Napi::TypeError::New(env, "expected a file descriptor").ThrowAsJavaScriptException();
    return env.Undefined();
  }
  std::string reason;
  const Outcome outcome = TryLock(info[0].As<Napi::Number>().Int32Value(), &reason);
  if (outcome == Outcome::kFailed)
    return Throw(env, {Code::kUnsupported, "The file cannot be locked: " + reason + "."});
  return Napi::Boolean::New(env, outcome == Outcome::kLocked);
}

}  // namespace

void InitFileLock(Napi::Env env, Napi::Object exports) {
  Export<TryLockFile>(env, exports, "tryLockFile");
}

}  // namespace nomyo::addon
