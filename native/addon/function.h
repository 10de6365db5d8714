// Export: defines a native function on the addon's object, and stops C++ exceptions at the binding. Prepared: OpenSSL
// is ready before the function runs. ThenWipeStack: nothing of it stays on the stack, however it ends.
#pragma once

#include <exception>
#include <new>

#include <napi.h>

#include "addon/error.h"
#include "core/crypto/algorithms.h"
#include "core/memory/fork_guard.h"
#include "core/memory/stack_wipe.h"

namespace nomyo::addon {

template <Napi::Value (*Function)(const Napi::CallbackInfo&)>
Napi::Value Guarded(const Napi::CallbackInfo& info) {
  // What a handle owns is not there.
  if (InForkedChild()) return Throw(info.Env(), ForkedChildError());
  try {
    return Function(info);
  } catch (const std::bad_alloc&) {
    return Throw(info.Env(), {Code::kOutOfMemory, "The system has no memory to give."});
  } catch (...) {
    return Throw(info.Env(), {Code::kCrypto, "The call failed inside the addon."});
  }
}

// Prepared is for functions that use OpenSSL on the JavaScript thread. (Worker threads prepare it when they start.)
template <Napi::Value (*Function)(const Napi::CallbackInfo&)>
Napi::Value Prepared(const Napi::CallbackInfo& info) {
  if (const Status status = PrepareOpenSsl(); !status) return Throw(info.Env(), status.error());
  return Function(info);
}

// ThenWipeStack is for functions through which secrets pass on the JavaScript thread: they stay on its stack and in the
// vector registers (memcpy and V8 move 64 bytes at a time), also when the function fails. Function must be noinline.
template <Napi::Value (*Function)(const Napi::CallbackInfo&)>
Napi::Value ThenWipeStack(const Napi::CallbackInfo& info) {
  const StackWipe wipe;
  return Function(info);
}

template <Napi::Value (*Function)(const Napi::CallbackInfo&)>
void Export(Napi::Env env, Napi::Object exports, const char* name) {
  exports.Set(name, Napi::Function::New<Guarded<Function>>(env, name));
}

}  // namespace nomyo::addon
