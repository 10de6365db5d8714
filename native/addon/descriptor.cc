#include "addon/descriptor.h"

#include <cstring>
#include <optional>

#include "addon/argument.h"
#include "addon/error.h"
#include "addon/function.h"
#include "addon/secure_buffer_handle.h"
#include "addon/system_descriptor.h"

namespace nomyo::addon {
namespace {

constexpr std::size_t kMostDescriptor = 2147483647;

std::optional<std::size_t> GetNumber(Napi::Env env, const Napi::Value& value) {
  return GetWhole(env, value, 0, kMostDescriptor, "expected a whole number");
}

// readDescriptor(fd, buffer, offset): reads what is there, and never waits: another thread would have to be stopped
// when its environment ends, and a read cannot be. -1: nothing is there yet; 0: the end. (Where two processes read one
// pipe, the other may take what poll has seen; then this waits for more.)
Napi::Value ReadDescriptor(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  const auto fd = GetNumber(env, info[0]);
  if (!fd) return env.Undefined();
  const auto buffer = GetBuffer(env, info[1]);
  if (!buffer) return env.Undefined();
  const auto offset = GetNumber(env, info[2]);
  if (!offset) return env.Undefined();
  if (*offset >= buffer->size()) return Throw(env, {Code::kInvalidArgument, "The offset is not inside the buffer."});
  const auto got = ReadWhatIsThere(static_cast<int>(*fd), buffer->bytes().subspan(*offset));
  if (!got) return Throw(env, got.error());
  return Napi::Number::New(env, static_cast<double>(got.value()));
}

// bufferCopy(from, to): the bytes of one at the beginning of another, at least as large one.
Napi::Value BufferCopy(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  const auto from = GetBuffer(env, info[0]);
  if (!from) return env.Undefined();
  const auto to = GetBuffer(env, info[1]);
  if (!to) return env.Undefined();
  if (to->size() < from->size()) return Throw(env, {Code::kInvalidArgument, "The target is smaller than the source."});
  if (from->size() != 0) std::memmove(to->data(), from->data(), from->size());
  return env.Undefined();
}

// bufferTruncate(buffer, length): wipes what falls away.
Napi::Value BufferTruncate(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  const auto object = GetHandle<BufferObject>(env, info[0]);
  if (!object) return env.Undefined();
  const auto length = GetNumber(env, info[1]);
  if (!length) return env.Undefined();
  const auto bytes = object->bytes();
  if (!bytes) return Throw(env, {Code::kDisposed, "The secure buffer was disposed of."});
  if (object->views() != 0 || *length > bytes->size()) {
    return Throw(env, {Code::kInvalidArgument, "A buffer cannot be cut to more than it has, nor while a view is out."});
  }
  bytes->Truncate(*length);
  return env.Undefined();
}

// terminalEcho(fd, on): whether the terminal shows what is typed. The end of the line is shown in any case.
Napi::Value TerminalEcho(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  const auto fd = GetNumber(env, info[0]);
  if (!fd) return env.Undefined();
  if (!info[1].IsBoolean()) {
    return ThrowTypeError(env, "expected a boolean");
  }
  const Status status = SetTerminalEcho(static_cast<int>(*fd), info[1].As<Napi::Boolean>());
  return status ? env.Undefined() : Throw(env, status.error());
}

}  // namespace

void InitDescriptor(Napi::Env env, Napi::Object exports) {
  Export<ReadDescriptor>(env, exports, "readDescriptor");
  ExportSecret<BufferCopy>(env, exports, "bufferCopy");
  Export<BufferTruncate>(env, exports, "bufferTruncate");
  Export<TerminalEcho>(env, exports, "terminalEcho");
}

}  // namespace nomyo::addon
