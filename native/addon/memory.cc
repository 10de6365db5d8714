#include "addon/memory.h"

#include <openssl/crypto.h>

#include <cmath>
#include <cstring>
#include <string>
#include <utility>

#include "addon/error.h"
#include "addon/function.h"
#include "addon/job.h"
#include "addon/secure_buffer_handle.h"
#include "core/memory/cleanse.h"
#include "core/memory/locked_pool.h"
#include "core/memory/openssl_memory.h"
#include "core/memory/process_protection.h"
#include "core/memory/secure_text.h"
#include "core/threads/executor.h"

namespace nomyo::addon {

struct BufferObject::Secret {
  explicit Secret(SecureBuffer buffer) : memory(std::make_shared<SecureBuffer>(std::move(buffer))) {}
  ~Secret() { Cleanse(memory->data(), memory->size()); }
  Secret(const Secret&) = delete;
  Secret& operator=(const Secret&) = delete;
  const std::shared_ptr<SecureBuffer> memory;
};

BufferObject::BufferObject(SecureBuffer buffer) : secret_(std::make_shared<Secret>(std::move(buffer))) {}

std::shared_ptr<SecureBuffer> BufferObject::bytes() const {
  return secret_ ? std::shared_ptr<SecureBuffer>(secret_, secret_->memory.get()) : nullptr;
}

std::shared_ptr<SecureBuffer> BufferObject::memory() const {
  return secret_ ? secret_->memory : nullptr;
}

Napi::Value NewBufferHandle(Napi::Env env, SecureBuffer buffer) {
  const auto size = static_cast<std::int64_t>(buffer.size());
  return NewHandle(env, std::make_shared<BufferObject>(std::move(buffer)), size);
}

std::shared_ptr<SecureBuffer> GetBuffer(Napi::Env env, napi_value value) {
  const auto object = GetHandle<BufferObject>(env, value);
  if (!object) return nullptr;
  auto bytes = object->bytes();
  if (!bytes) Throw(env, {Code::kDisposed, "The secure buffer was disposed of."});
  return bytes;
}

Result<SecureBuffer> ReadUtf8(Napi::Env env, napi_value string) {
  std::size_t units = 0;
  if (napi_get_value_string_utf16(env, string, nullptr, 0, &units) != napi_ok) {
    return Error{Code::kInvalidArgument, "Expected a string."};
  }
  // Node-API writes a terminator.
  auto text = SecureBuffer::Allocate((units + 1) * sizeof(char16_t));
  if (!text) return text;
  auto* begin = reinterpret_cast<char16_t*>(text->data());
  if (napi_get_value_string_utf16(env, string, begin, units + 1, &units) != napi_ok) {
    return Error{Code::kInvalidArgument, "The string could not be read."};
  }
  return Utf8FromUtf16({begin, units});
}

namespace {

Napi::Value OrNull(Napi::Env env, const auto& optional) {
  if (!optional) return env.Null();
  if constexpr (std::is_same_v<std::decay_t<decltype(*optional)>, bool>) {
    return Napi::Boolean::New(env, *optional);
  } else {
    return Napi::Number::New(env, static_cast<double>(*optional));
  }
}

Napi::Value Count(Napi::Env env, std::size_t value) {
  return Napi::Number::New(env, static_cast<double>(value));
}

std::optional<std::size_t> GetSize(Napi::Env env, Napi::Value value) {
  constexpr double kMost = 9007199254740991;  // Number.MAX_SAFE_INTEGER
  if (value.IsNumber()) {
    const double number = value.As<Napi::Number>().DoubleValue();
    if (number >= 0 && number <= kMost && number == std::floor(number)) return static_cast<std::size_t>(number);
  }
  Napi::TypeError::New(env, "expected a whole number of bytes").ThrowAsJavaScriptException();
  return std::nullopt;
}

std::optional<std::span<std::uint8_t>> GetBytes(Napi::Value value) {
  if (!value.IsTypedArray() || value.As<Napi::TypedArray>().TypedArrayType() != napi_uint8_array) return std::nullopt;
  auto array = value.As<Napi::Uint8Array>();
  return std::span<std::uint8_t>(array.Data(), array.ElementLength());
}

Napi::Value MemoryInfo(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  const LockedPool& pool = LockedPool::Instance();
  const auto limit = pool.Limit();
  Napi::Object result = Napi::Object::New(env);
  result.Set("mechanism", std::string(pool.Mechanism()));
  result.Set("lockLimitSoft", OrNull(env, limit.exempt ? std::nullopt : limit.soft));
  result.Set("lockLimitHard", OrNull(env, limit.exempt ? std::nullopt : limit.hard));
  result.Set("swapEnabled", OrNull(env, SwapEnabled()));
  result.Set("coreDumpsEnabled", OrNull(env, CoreDumpsEnabled()));
  result.Set("ptraceScope", OrNull(env, PtraceScope()));
  result.Set("degraded", Napi::Boolean::New(env, pool.degraded()));
  result.Set("opensslInPool", Napi::Boolean::New(env, OpenSslInPool()));
  const LockedPool::Stats stats = pool.stats();
  Napi::Object numbers = Napi::Object::New(env);
  numbers.Set("bytesMapped", Count(env, stats.bytes_mapped));
  numbers.Set("bytesLocked", Count(env, stats.bytes_locked));
  numbers.Set("bytesInUse", Count(env, stats.bytes_in_use));
  numbers.Set("bytesPeak", Count(env, stats.bytes_peak));
  numbers.Set("allocations", Count(env, stats.allocations));
  numbers.Set("totalAllocations", Count(env, stats.total_allocations));
  numbers.Set("chunks", Count(env, stats.chunks));
  result.Set("stats", numbers);
  const Executor::Stats work = Executor::Instance().stats();
  Napi::Object threads = Napi::Object::New(env);
  threads.Set("started", Count(env, work.threads));
  threads.Set("limit", Count(env, work.thread_limit));
  threads.Set("queued", Count(env, work.queued));
  threads.Set("running", Count(env, work.running));
  result.Set("threads", threads);
  return result;
}

Napi::Value MemoryDegraded(const Napi::CallbackInfo& info) {
  return Napi::Boolean::New(info.Env(), LockedPool::Instance().degraded());
}

Napi::Value SetMemoryMechanism(const Napi::CallbackInfo& info) {
  if (!info[0].IsString()) {
    Napi::TypeError::New(info.Env(), "expected the name of a mechanism").ThrowAsJavaScriptException();
    return info.Env().Undefined();
  }
  const Status status = LockedPool::Instance().SetMechanism(info[0].As<Napi::String>().Utf8Value());
  return status ? info.Env().Undefined() : Throw(info.Env(), status.error());
}

Napi::Value Harden(const Napi::CallbackInfo& info) {
  const Status status = HardenProcess();
  return status ? info.Env().Undefined() : Throw(info.Env(), status.error());
}

Napi::Value MemoryProbe(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  const auto bytes = GetSize(env, info[0]);
  if (!bytes) return env.Undefined();
  const auto policy = GetLockPolicy(env, info[1]);
  if (!policy) return env.Undefined();
  LockPolicyScope scope(*policy);
  const auto probe = SecureBuffer::Allocate(*bytes);
  return probe ? env.Undefined() : Throw(env, probe.error());
}

Napi::Value BufferAlloc(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  const auto size = GetSize(env, info[0]);
  if (!size) return env.Undefined();
  const auto policy = GetLockPolicy(env, info[1]);
  if (!policy) return env.Undefined();
  LockPolicyScope scope(*policy);
  auto buffer = SecureBuffer::Allocate(*size);
  return buffer ? NewBufferHandle(env, std::move(*buffer)) : Throw(env, buffer.error());
}

Napi::Value BufferFrom(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  const auto bytes = GetBytes(info[0]);
  if (!bytes && !info[0].IsString()) {
    Napi::TypeError::New(env, "expected a Uint8Array or a string").ThrowAsJavaScriptException();
    return env.Undefined();
  }
  const auto policy = GetLockPolicy(env, info[1]);
  if (!policy) return env.Undefined();
  LockPolicyScope scope(*policy);
  auto buffer = bytes ? SecureBuffer::CopyOf(*bytes) : ReadUtf8(env, info[0]);
  return buffer ? NewBufferHandle(env, std::move(*buffer)) : Throw(env, buffer.error());
}

Napi::Value BufferLength(const Napi::CallbackInfo& info) {
  const auto bytes = GetBuffer(info.Env(), info[0]);
  return bytes ? Count(info.Env(), bytes->size()) : info.Env().Undefined();
}

Napi::Value BufferLocked(const Napi::CallbackInfo& info) {
  const auto bytes = GetBuffer(info.Env(), info[0]);
  // No byte of an empty buffer is outside locked memory.
  return bytes ? Napi::Boolean::New(info.Env(), bytes->empty() || bytes->locked()) : info.Env().Undefined();
}

Napi::Value BufferDisposed(const Napi::CallbackInfo& info) {
  const auto object = GetHandle<BufferObject>(info.Env(), info[0]);
  return object ? Napi::Boolean::New(info.Env(), object->disposed()) : info.Env().Undefined();
}

Napi::Value BufferView(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  const auto bytes = GetBuffer(env, info[0]);
  if (!bytes) return env.Undefined();
  const auto object = GetHandle<BufferObject>(env, info[0]);
  napi_value array_buffer = nullptr;
  napi_status status = napi_ok;
  if (bytes->empty()) {
    void* nothing = nullptr;
    status = napi_create_arraybuffer(env, 0, &nothing, &array_buffer);
  } else {
    auto keep = std::make_unique<std::shared_ptr<SecureBuffer>>(object->memory());
    status = napi_create_external_arraybuffer(
        env, bytes->data(), bytes->size(),
        [](napi_env, void*, void* hint) { delete static_cast<std::shared_ptr<SecureBuffer>*>(hint); }, keep.get(),
        &array_buffer);
    if (status == napi_ok) static_cast<void>(keep.release());  // the finalizer owns it
  }
  if (status != napi_ok) {
    // Electron, for one. A copy in the JavaScript heap would be just what this buffer is there to avoid.
    if (env.IsExceptionPending()) env.GetAndClearPendingException();
    return Throw(env, {Code::kUnsupported,
                       "This JavaScript runtime does not allow views of native memory, and a copy would leave the "
                       "secret in the JavaScript heap. Use the buffer where nomyo-native takes one instead."});
  }
  ++object->views;
  return Napi::Uint8Array::New(env, bytes->size(), Napi::ArrayBuffer(env, array_buffer), 0);
}

Napi::Value BufferReleaseView(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  const auto bytes = GetBuffer(env, info[0]);
  if (!bytes) return env.Undefined();
  const auto object = GetHandle<BufferObject>(env, info[0]);
  const auto view = GetBytes(info[1]);
  // A view that the caller has detached already has no address any more.
  if (!view || object->views == 0 || (!view->empty() && view->data() != bytes->data())) {
    Napi::TypeError::New(env, "expected a view of this buffer").ThrowAsJavaScriptException();
    return env.Undefined();
  }
  const napi_value array_buffer = info[1].As<Napi::TypedArray>().ArrayBuffer();
  bool detached = false;
  napi_detach_arraybuffer(env, array_buffer);
  if (napi_is_detached_arraybuffer(env, array_buffer, &detached) != napi_ok || !detached) {
    return Throw(env, {Code::kUnsupported, "The view could not be detached, so the secure buffer stays in use."});
  }
  --object->views;
  return env.Undefined();
}

Napi::Value BufferToString(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  const auto bytes = GetBuffer(env, info[0]);
  if (!bytes) return env.Undefined();
  if (!IsUtf8(bytes->bytes())) {
    return Throw(env, {Code::kUtf8, "The secure buffer does not hold UTF-8, so it is no text."});
  }
  napi_value string = nullptr;
  if (napi_create_string_utf8(env, reinterpret_cast<const char*>(bytes->data()), bytes->size(), &string) != napi_ok) {
    if (env.IsExceptionPending()) env.GetAndClearPendingException();
    return Throw(env, {Code::kTooLarge, "The secure buffer is longer than a JavaScript string can be."});
  }
  return {env, string};
}

Napi::Value BufferEquals(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  const auto left = GetBuffer(env, info[0]);
  if (!left) return env.Undefined();
  std::shared_ptr<SecureBuffer> held;
  std::span<const std::uint8_t> right;
  if (const auto bytes = GetBytes(info[1])) {
    right = *bytes;
  } else {
    held = GetBuffer(env, info[1]);
    if (!held) return env.Undefined();
    right = held->bytes();
  }
  const bool equal =
      left->size() == right.size() && (right.empty() || CRYPTO_memcmp(left->data(), right.data(), right.size()) == 0);
  return Napi::Boolean::New(env, equal);
}

Napi::Value BufferDispose(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  const auto object = GetHandle<BufferObject>(env, info[0]);
  if (!object) return env.Undefined();
  if (object->views != 0) {
    return Throw(env,
                 {Code::kInvalidArgument, "The secure buffer cannot be disposed of while a view of it is in use."});
  }
  object->Dispose();
  return env.Undefined();
}

}  // namespace

void InitMemory(Napi::Env env, Napi::Object exports) {
  if (const Status status = InstallOpenSslMemory(); !status) {
    Throw(env, status.error());
    return;
  }
  Export<MemoryInfo>(env, exports, "memoryInfo");
  Export<MemoryDegraded>(env, exports, "memoryDegraded");
  Export<SetMemoryMechanism>(env, exports, "setMemoryMechanism");
  Export<Harden>(env, exports, "hardenProcess");
  Export<MemoryProbe>(env, exports, "memoryProbe");
  Export<BufferAlloc>(env, exports, "bufferAlloc");
  Export<BufferFrom>(env, exports, "bufferFrom");
  Export<BufferLength>(env, exports, "bufferLength");
  Export<BufferLocked>(env, exports, "bufferLocked");
  Export<BufferDisposed>(env, exports, "bufferDisposed");
  Export<BufferView>(env, exports, "bufferView");
  Export<BufferReleaseView>(env, exports, "bufferReleaseView");
  Export<BufferToString>(env, exports, "bufferToString");
  Export<BufferEquals>(env, exports, "bufferEquals");
  Export<BufferDispose>(env, exports, "bufferDispose");
}

}  // namespace nomyo::addon
