// Export: defines a native function on the addon's object, and stops C++ exceptions at the binding. ExportSecret: the
// same for a function through which secrets pass. Prepared: OpenSSL is ready before the function runs.
#pragma once

#include <exception>
#include <new>

#include <napi.h>

#include "addon/error.h"
#include "core/crypto/algorithms.h"
#include "core/memory/fork_guard.h"
#include "core/memory/stack_wipe.h"

namespace nomyo::addon {

using NativeFunction = Napi::Value (*)(const Napi::CallbackInfo&);

template <NativeFunction Function>
Napi::Value Guarded(const Napi::CallbackInfo& info) {
  // What a handle owns is not there.
  if (InForkedChild()) return Throw(info.Env(), ForkedChildError());
  try {
    return Function(info);
  } catch (const std::bad_alloc&) {
    return Throw(info.Env(), OutOfMemory());
  } catch (...) {
    return Throw(info.Env(), {Code::kCrypto, "The call failed inside the addon."});
  }
}

// Prepared is for functions that use OpenSSL on the JavaScript thread. (Worker threads prepare it when they start.)
template <NativeFunction Function>
Napi::Value Prepared(const Napi::CallbackInfo& info) {
  if (const Status status = PrepareOpenSsl(); !status) return Throw(info.Env(), status.error());
  return Function(info);
}

// ThenWipeStack leaves nothing of the function on the JavaScript thread's stack and in the vector registers (memcpy and
// V8 move 64 bytes at a time), however it ends: by returning, by an exception of C++, by one of JavaScript's. The call
// is by a pointer that the compiler knows nothing of, so that no frame of the function becomes a part of this one.
template <NativeFunction Function>
Napi::Value ThenWipeStack(const Napi::CallbackInfo& info) {
  static const volatile NativeFunction function = Function;
  const StackWipe wipe;
  return function(info);
}

// Export makes `exports[name]`. `data` is what info.Data() gives, and must live as long as the environment.
template <NativeFunction Function>
void Export(Napi::Env env, Napi::Object exports, const char* name, void* data = nullptr) {
  exports.Set(name, Napi::Function::New<Guarded<Function>>(env, name, data));
}

// ExportSecret is Export for each function that reads, copies or makes a secret on the JavaScript thread: its bytes, or
// a piece of them in a register. (test/package/native-secrets.test.ts keeps it so.)
template <NativeFunction Function>
void ExportSecret(Napi::Env env, Napi::Object exports, const char* name, void* data = nullptr) {
  Export<ThenWipeStack<Function>>(env, exports, name, data);
}

}  // namespace nomyo::addon
