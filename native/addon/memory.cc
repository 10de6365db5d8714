#include "addon/memory.h"

#include <openssl/crypto.h>

#include <cstring>
#include <string>
#include <type_traits>
#include <utility>

#include "addon/argument.h"
#include "addon/error.h"
#include "addon/function.h"
#include "addon/property.h"
#include "addon/secure_buffer_handle.h"
#include "addon/uint8_array.h"
#include "core/crypto/algorithms.h"
#include "core/memory/cleanse.h"
#include "core/memory/locked_pool.h"
#include "core/memory/openssl_memory.h"
#include "core/memory/process_protection.h"
#include "core/memory/secure_text.h"
#include "core/threads/executor.h"

namespace nomyo::addon {

struct BufferObject::Secret {
  explicit Secret(SecureBuffer buffer) : memory(std::make_shared<SecureBuffer>(std::move(buffer))) {}
  ~Secret() { memory->Wipe(); }
  Secret(const Secret&) = delete;
  Secret& operator=(const Secret&) = delete;
  const std::shared_ptr<SecureBuffer> memory;
  bool forfeited = false;
  std::size_t views = 0;
  // Itself, once it is forfeited: so it is never destroyed, and its memory never given back. Putting it into a list of
  // such memory could fail, just where memory must not get free.
  std::shared_ptr<Secret> kept;
};

BufferObject::BufferObject(SecureBuffer buffer) : secret_(std::make_shared<Secret>(std::move(buffer))) {}

bool BufferObject::disposed() const {
  return secret_ == nullptr || secret_->forfeited;
}

std::shared_ptr<SecureBuffer> BufferObject::bytes() const {
  return disposed() ? nullptr : std::shared_ptr<SecureBuffer>(secret_, secret_->memory.get());
}

std::shared_ptr<SecureBuffer> BufferObject::memory() const {
  return secret_ ? secret_->memory : nullptr;
}

void BufferObject::Forfeit() {
  if (!secret_) return;
  Cleanse(secret_->memory->data(), secret_->memory->size());
  secret_->forfeited = true;
  Secret& secret = *secret_;
  secret.kept = std::move(secret_);
}

void BufferObject::ViewBegins() {
  ++own_views_;
  ++secret_->views;
}

void BufferObject::ViewEnds() {
  --own_views_;
  if (secret_) --secret_->views;  // there is none after a Forfeit inside: then nobody asks any more
}

std::size_t BufferObject::views() const {
  return secret_ ? secret_->views : own_views_;
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

std::shared_ptr<SecureBuffer> GetUnviewedBuffer(Napi::Env env, napi_value value) {
  auto bytes = GetBuffer(env, value);
  if (!bytes || GetHandle<BufferObject>(env, value)->views() == 0) return bytes;
  Throw(env, {Code::kInvalidArgument, "The secure buffer cannot be read while a view of it is in use."});
  return nullptr;
}

std::optional<SecureBuffer> CopyBuffer(Napi::Env env, napi_value value) {
  const auto bytes = GetBuffer(env, value);
  if (!bytes) return std::nullopt;
  auto copy = SecureBuffer::CopyOf(std::as_const(*bytes).bytes());
  if (copy) return std::move(*copy);
  Throw(env, copy.error());
  return std::nullopt;
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

std::optional<std::size_t> GetSize(Napi::Env env, const Napi::Value& value) {
  return GetWhole(env, value, 0, kMostWhole, "expected a whole number of bytes");
}

Napi::Value FailureValue(Napi::Env env, const LockFailure& failure) {
  if (!failure) return env.Null();
  Napi::Object value = Napi::Object::New(env);
  value.Set("call", failure.call);
  value.Set("error", ErrorName(failure.error));
  value.Set("errno", failure.error);
  value.Set("cause", std::string(NameOf(failure.cause)));
  return value;
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
  const LockMechanism chosen = pool.chosen();
  result.Set("mechanismChosen", chosen == LockMechanism::kNone
                                    ? env.Null()
                                    : Napi::Value(Napi::String::New(env, std::string(NameOf(chosen)))));
  const LockedPool::Setbacks setbacks = pool.setbacks();
  result.Set("degraded", Napi::Boolean::New(env, setbacks.degraded));
  result.Set("lockRefused", FailureValue(env, setbacks.refused));
  result.Set("weakerBecause", FailureValue(env, setbacks.weaker));
  result.Set("opensslInPool", Napi::Boolean::New(env, OpenSslInPool()));
  const LockedPool::Stats stats = pool.stats();
  Napi::Object numbers = Napi::Object::New(env);
  numbers.Set("bytesMapped", Count(env, stats.bytes_mapped));
  numbers.Set("bytesLocked", Count(env, stats.bytes_locked));
  Napi::Object locked_by = Napi::Object::New(env);
  for (const auto each : {LockMechanism::kMemfdSecret, LockMechanism::kMlock, LockMechanism::kVirtualLock}) {
    locked_by.Set(std::string(NameOf(each)), Count(env, stats.bytes_locked_by[static_cast<std::size_t>(each)]));
  }
  numbers.Set("bytesLockedBy", locked_by);
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
  threads.Set("limitChosen", Napi::Boolean::New(env, work.thread_limit_chosen));
  threads.Set("queued", Count(env, work.queued));
  threads.Set("running", Count(env, work.running));
  result.Set("threads", threads);
  return result;
}

Napi::Value MemorySetbacks(const Napi::CallbackInfo& info) {
  const LockedPool::Setbacks setbacks = LockedPool::Instance().setbacks();
  Napi::Object result = Napi::Object::New(info.Env());
  result.Set("degraded", Napi::Boolean::New(info.Env(), setbacks.degraded));
  result.Set("weakerBecause", FailureValue(info.Env(), setbacks.weaker));
  return result;
}

Napi::Value SetMemoryMechanism(const Napi::CallbackInfo& info) {
  if (!info[0].IsString()) {
    return ThrowTypeError(info.Env(), "expected the name of a mechanism");
  }
  const Status status = LockedPool::Instance().ChooseMechanism(info[0].As<Napi::String>().Utf8Value());
  return status ? info.Env().Undefined() : Throw(info.Env(), status.error());
}

Napi::Value SetThreadLimit(const Napi::CallbackInfo& info) {
  const auto threads = GetWhole(info.Env(), info[0], 0, kMostWhole, "expected a whole number of threads");
  if (!threads) return info.Env().Undefined();
  const Status status = Executor::Instance().SetThreadLimit(*threads);
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
  const auto locking = GetLocking(env, info[1]);
  if (!locking) return env.Undefined();
  LockingScope scope(*locking);
  const auto probe = SecureBuffer::Allocate(*bytes);
  return probe ? env.Undefined() : Throw(env, probe.error());
}

Napi::Value BufferAlloc(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  const auto size = GetSize(env, info[0]);
  if (!size) return env.Undefined();
  const auto locking = GetLocking(env, info[1]);
  if (!locking) return env.Undefined();
  LockingScope scope(*locking);
  auto buffer = SecureBuffer::Allocate(*size);
  return buffer ? NewBufferHandle(env, std::move(*buffer)) : Throw(env, buffer.error());
}

Napi::Value BufferFrom(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  const auto locking = GetLocking(env, info[1]);
  if (!locking) return env.Undefined();
  LockingScope scope(*locking);
  if (info[0].IsString()) {
    auto text = ReadUtf8(env, info[0]);
    return text ? NewBufferHandle(env, std::move(*text)) : Throw(env, text.error());
  }
  if (!info[0].IsTypedArray()) {
    return ThrowTypeError(env, "expected a Uint8Array or a string");
  }
  // Last: reading it may run JavaScript, and nothing may run after it.
  const auto bytes = ReadUint8Array(env, info[0], "bytes");
  if (!bytes) return env.Undefined();
  auto buffer = SecureBuffer::CopyOf(*bytes);
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

// ---- views ----------------------------------------------------------------------------------------------------------
//
// A view is an array buffer over the pool's own memory, with a finalizer that gives the memory up. Node calls the
// finalizer when the last owner of the backing store is gone, or when the environment ends; and in the second case
// another thread may still own the store, if somebody moved it there by ArrayBuffer.prototype.transfer. So the
// finalizer believes in the end of a view only when the view was whole when it came back: still attached to this very
// memory, so that no other array buffer can have it, and then detached. All other memory is wiped, and kept for ever.

// Lent is what a view holds on to.
struct Lent {
  std::shared_ptr<SecureBuffer> memory;
  bool whole;
  std::shared_ptr<Lent> kept;  // itself, for the life of the process, when it did not come back whole
};

// An array buffer over the bytes of `object`, which are `bytes`; nullptr with an exception pending. `lent` is empty for
// an empty buffer. `trusted` views are the package's own, handed to nobody.
napi_value NewView(Napi::Env env, const BufferObject& object, SecureBuffer& bytes, bool trusted,
                   std::shared_ptr<Lent>& lent) {
  napi_value array_buffer = nullptr;
  napi_status status = napi_ok;
  if (bytes.empty()) {
    void* nothing = nullptr;
    status = napi_create_arraybuffer(env, 0, &nothing, &array_buffer);
  } else {
    lent = std::make_shared<Lent>(Lent{object.memory(), trusted, nullptr});
    auto keep = std::make_unique<std::shared_ptr<Lent>>(lent);
    status = napi_create_external_arraybuffer(
        env, bytes.data(), bytes.size(),
        [](napi_env, void*, void* hint) {
          std::unique_ptr<std::shared_ptr<Lent>> kept(static_cast<std::shared_ptr<Lent>*>(hint));
          Lent& own = **kept;
          if (own.whole) return;
          Cleanse(own.memory->data(), own.memory->size());
          own.kept = std::move(*kept);
        },
        keep.get(), &array_buffer);
    if (status == napi_ok) static_cast<void>(keep.release());  // the finalizer owns it
  }
  if (status != napi_ok) {
    // Electron, for one. A copy in the JavaScript heap would be just what this buffer is there to avoid.
    if (env.IsExceptionPending()) env.GetAndClearPendingException();
    Throw(env, {Code::kUnsupported,
                "This JavaScript runtime does not allow views of native memory, and a copy would leave the "
                "secret in the JavaScript heap. Use the buffer where nomyo-native takes one instead."});
    return nullptr;
  }
  return array_buffer;
}

// What the functions of views keep for one environment: ArrayBuffer.prototype.transfer as it was when the addon was
// loaded; empty before Node 22, which has none.
struct ViewState {
  Napi::FunctionReference transfer;

  explicit ViewState(Napi::Env env) {
    Napi::HandleScope scope(env);
    const auto constructor = GetProperty(env, env.Global(), "ArrayBuffer");
    if (!constructor || !constructor->IsFunction()) return;
    const auto prototype = GetProperty(env, *constructor, "prototype");
    if (!prototype || !prototype->IsObject()) return;
    const auto function = GetProperty(env, *prototype, "transfer");
    if (function && function->IsFunction()) transfer = Napi::Persistent(function->As<Napi::Function>());
  }
};

// EndView ends a view that is whole, and says so to `lent` before: Bun and Deno call the finalizer while they detach,
// Node some time later. False when its memory may stay in reach of JavaScript: another array buffer got it, or this one
// does not let go of it. No exception may be pending, and none is afterwards.
//
// napi_detach_arraybuffer ends the process where V8 refuses: since Node 24 for an array buffer that somebody marked as
// untransferable, and on every line while JavaScript is being terminated. ArrayBuffer.prototype.transfer fails instead,
// so it is what detaches. Node 20 has none, and no such marks either: there `terminated` must say whether JavaScript is
// being terminated.
bool EndView(Napi::Env env, const ViewState& state, napi_value array_buffer, const SecureBuffer& bytes, Lent* lent,
             bool terminated) {
  void* data = nullptr;
  std::size_t length = 0;
  if (napi_get_arraybuffer_info(env, array_buffer, &data, &length) != napi_ok || length != bytes.size() ||
      (length != 0 && data != bytes.data())) {
    return false;
  }
  if (lent != nullptr) lent->whole = true;
  if (!state.transfer.IsEmpty()) {
    const napi_value no_bytes = Napi::Number::New(env, 0);
    napi_value moved = nullptr;
    if (napi_call_function(env, array_buffer, state.transfer.Value(), 1, &no_bytes, &moved) == napi_pending_exception) {
      napi_get_and_clear_last_exception(env, &moved);
    }
  } else if (!terminated) {
    napi_detach_arraybuffer(env, array_buffer);
  }
  bool detached = false;
  const bool ended = napi_is_detached_arraybuffer(env, array_buffer, &detached) == napi_ok && detached;
  // Still attached, so no finalizer has looked yet.
  if (!ended && lent != nullptr) lent->whole = false;
  return ended;
}

// Whether JavaScript runs, or is being terminated: by the environment's end, or by a time limit of node:vm. No
// exception may be pending, and none is afterwards.
bool CanRunJavaScript(napi_env env) {
  napi_value script = nullptr;
  napi_value ignored = nullptr;
  const bool can =
      napi_create_string_latin1(env, "0", 1, &script) == napi_ok && napi_run_script(env, script, &ignored) == napi_ok;
  if (!can) napi_get_and_clear_last_exception(env, &ignored);
  return can;
}

// Calls fn with a view, and ends the view whatever becomes of the call: it throws, or the environment is terminated.
Napi::Value BufferUse(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  const auto bytes = GetBuffer(env, info[0]);
  if (!bytes) return env.Undefined();
  if (!info[1].IsFunction()) {
    return ThrowTypeError(env, "expected a function");
  }
  const auto object = GetHandle<BufferObject>(env, info[0]);
  const auto& state = *static_cast<ViewState*>(info.Data());
  std::shared_ptr<Lent> lent;
  const napi_value array_buffer = NewView(env, *object, *bytes, false, lent);
  if (array_buffer == nullptr) return env.Undefined();
  napi_value view = nullptr;
  napi_value result = nullptr;
  napi_value exception = nullptr;
  bool terminated = false;
  object->ViewBegins();
  if (napi_create_typedarray(env, napi_uint8_array, bytes->size(), array_buffer, 0, &view) != napi_ok ||
      napi_call_function(env, env.Undefined(), info[1], 1, &view, &result) != napi_ok) {
    // Set aside: Node-API calls nothing while an exception is pending. A termination is none that could be thrown
    // again; it shows as a value that JavaScript can throw as well.
    bool is_error = false;
    terminated = napi_get_and_clear_last_exception(env, &exception) != napi_ok ||
                 napi_is_error(env, exception, &is_error) != napi_ok || (!is_error && !CanRunJavaScript(env));
  }
  object->ViewEnds();
  if (!EndView(env, state, array_buffer, *bytes, lent.get(), terminated) && !bytes->empty()) {
    object->Forfeit();
    if (terminated) return {env, nullptr};  // nothing can be thrown any more
    return Throw(env,
                 {Code::kViewTaken,
                  "The view that `use` gave was moved away (transfer, or made impossible to detach), so its memory "
                  "may stay in reach of others. The secure buffer was wiped, and its memory is not used again. "
                  "Copy what you need with `slice` instead of moving the view's array buffer."});
  }
  if (exception != nullptr) {
    napi_throw(env, exception);
    return env.Undefined();
  }
  return {env, result};
}

Napi::Value BufferView(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  const auto bytes = GetBuffer(env, info[0]);
  if (!bytes) return env.Undefined();
  const auto object = GetHandle<BufferObject>(env, info[0]);
  std::shared_ptr<Lent> lent;
  const napi_value array_buffer = NewView(env, *object, *bytes, true, lent);
  if (array_buffer == nullptr) return env.Undefined();
  napi_value view = nullptr;
  if (napi_create_typedarray(env, napi_uint8_array, bytes->size(), array_buffer, 0, &view) != napi_ok) {
    return Throw(env, {Code::kOutOfMemory, "A view of the secure buffer could not be made."});
  }
  object->ViewBegins();
  return {env, view};
}

Napi::Value BufferReleaseView(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  const auto bytes = GetBuffer(env, info[0]);
  if (!bytes) return env.Undefined();
  const auto object = GetHandle<BufferObject>(env, info[0]);
  // Address and length in one look; EndView looks at the array buffer itself. No JavaScript runs in here.
  napi_typedarray_type type = napi_int8_array;
  napi_value array_buffer = nullptr;
  void* data = nullptr;
  std::size_t length = 0;
  if (!info[1].IsTypedArray() || object->own_views() == 0 ||
      napi_get_typedarray_info(env, info[1], &type, &length, &data, &array_buffer, nullptr) != napi_ok ||
      type != napi_uint8_array || (data != nullptr && length != 0 && data != bytes->data())) {
    return ThrowTypeError(env, "expected a view of this buffer");
  }
  object->ViewEnds();
  if (EndView(env, *static_cast<ViewState*>(info.Data()), array_buffer, *bytes, nullptr, false) || bytes->empty()) {
    return env.Undefined();
  }
  object->Forfeit();
  return Throw(env, {Code::kViewTaken, "A view of a secure buffer was moved away. The buffer was wiped."});
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
  std::span<const std::uint8_t> right;
  std::shared_ptr<SecureBuffer> held;
  if (info[1].IsTypedArray()) {
    // First: reading it may run JavaScript, which may dispose of the buffer.
    const auto bytes = ReadUint8Array(env, info[1], "other");
    if (!bytes) return env.Undefined();
    right = *bytes;
  } else {
    held = GetBuffer(env, info[1]);
    if (!held) return env.Undefined();
    right = held->bytes();
  }
  const auto left = GetBuffer(env, info[0]);
  if (!left) return env.Undefined();
  const bool equal =
      left->size() == right.size() && (right.empty() || CRYPTO_memcmp(left->data(), right.data(), right.size()) == 0);
  return Napi::Boolean::New(env, equal);
}

Napi::Value BufferDispose(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  const auto object = GetHandle<BufferObject>(env, info[0]);
  if (!object) return env.Undefined();
  if (object->own_views() != 0) {
    return Throw(env,
                 {Code::kInvalidArgument, "The secure buffer cannot be disposed of while a view of it is in use."});
  }
  object->Dispose();
  return env.Undefined();
}

Napi::Value BufferShare(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  if (!GetBuffer(env, info[0])) return env.Undefined();
  return NewHandle(env, std::make_shared<BufferObject>(*GetHandle<BufferObject>(env, info[0])));
}

Napi::Value IsBuffer(const Napi::CallbackInfo& info) {
  return Napi::Boolean::New(info.Env(), IsHandle<BufferObject>(info.Env(), info[0]));
}

}  // namespace

void InitMemory(Napi::Env env, Napi::Object exports) {
  if (const Status status = InstallOpenSslMemory(); !status) {
    Throw(env, status.error());
    return;
  }
  // Without an algorithm that it needs, a job fails by itself.
  Executor::SetThreadStart([] { static_cast<void>(PrepareOpenSsl()); });
  Export<MemoryInfo>(env, exports, "memoryInfo");
  Export<MemorySetbacks>(env, exports, "memorySetbacks");
  Export<SetMemoryMechanism>(env, exports, "setMemoryMechanism");
  Export<SetThreadLimit>(env, exports, "setThreadLimit");
  Export<Harden>(env, exports, "hardenProcess");
  Export<MemoryProbe>(env, exports, "memoryProbe");
  Export<BufferAlloc>(env, exports, "bufferAlloc");
  ExportSecret<BufferFrom>(env, exports, "bufferFrom");
  Export<BufferLength>(env, exports, "bufferLength");
  Export<BufferLocked>(env, exports, "bufferLocked");
  Export<BufferDisposed>(env, exports, "bufferDisposed");
  ExportSecret<BufferToString>(env, exports, "bufferToString");
  ExportSecret<BufferEquals>(env, exports, "bufferEquals");
  Export<BufferDispose>(env, exports, "bufferDispose");
  Export<BufferShare>(env, exports, "bufferShare");
  Export<IsBuffer>(env, exports, "isBuffer");
  auto state = std::make_unique<ViewState>(env);
  if (env.IsExceptionPending()) return;  // no JavaScript can run any more: a worker that is terminated meanwhile
  ViewState* views = state.release();
  env.AddCleanupHook([views] { delete views; });
  // What JavaScript does with a view is its own stack's: there is nothing of ours to wipe.
  Export<BufferUse>(env, exports, "bufferUse", views);
  Export<BufferView>(env, exports, "bufferView", views);
  Export<BufferReleaseView>(env, exports, "bufferReleaseView", views);
}

}  // namespace nomyo::addon
