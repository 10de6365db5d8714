// Locks on open files, for state on the disk that several processes share. The kernel gives such a lock back when its
// holder dies, at whatever moment, so none is ever left behind.
#pragma once

#include <napi.h>

namespace nomyo::addon {

void InitFileLock(Napi::Env env, Napi::Object exports);

}  // namespace nomyo::addon
