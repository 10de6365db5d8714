#include "addon/file_lock.h"

#include <string>

#include "addon/argument.h"
#include "addon/error.h"
#include "addon/function.h"
#include "addon/system_file_lock.h"

namespace nomyo::addon {
namespace {

Napi::Value TryLockFile(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  const auto fd = GetWhole(env, info[0], 0, 2147483647, "expected a file descriptor");
  if (!fd) return env.Undefined();
  std::string reason;
  const FileLock outcome = TryFileLock(static_cast<int>(*fd), &reason);
  if (outcome == FileLock::kFailed)
    return Throw(env, {Code::kUnsupported, "The file cannot be locked: " + reason + "."});
  return Napi::Boolean::New(env, outcome == FileLock::kLocked);
}

}  // namespace

void InitFileLock(Napi::Env env, Napi::Object exports) {
  Export<TryLockFile>(env, exports, "tryLockFile");
}

}  // namespace nomyo::addon
