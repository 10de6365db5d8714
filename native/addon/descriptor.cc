#include "addon/descriptor.h"

#include <cmath>
#include <optional>
#include <string>

#include "addon/error.h"
#include "addon/function.h"
#include "addon/secure_buffer_handle.h"

#if !defined(_WIN32)
#include <poll.h>
#include <termios.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#endif

namespace nomyo::addon {
namespace {

// A number of JavaScript's as a whole number from 0 on; nothing with a TypeError pending otherwise.
std::optional<std::size_t> GetWhole(Napi::Env env, const Napi::Value& value) {
  if (value.IsNumber()) {
    const double number = value.As<Napi::Number>().DoubleValue();
    if (number >= 0 && number <= 2147483647 && number == std::floor(number)) return static_cast<std::size_t>(number);
  }
  Napi::TypeError::New(env, "expected a whole number").ThrowAsJavaScriptException();
  return std::nullopt;
}

Napi::Value Fail(Napi::Env env, const char* call) {
#if defined(_WIN32)
  return Throw(env, {Code::kUnsupported, std::string(call) + " is not supported on Windows."});
#else
  return Throw(env, {Code::kUnsupported, std::string(call) + " failed: " + std::strerror(errno) + "."});
#endif
}

// readDescriptor(fd, buffer, offset): reads what is there, and never waits: another thread would have to be stopped
// when its environment ends, and a read cannot be. -1: nothing is there yet; 0: the end. (Where two processes read one
// pipe, the other may take what poll has seen; then this waits for more.)
Napi::Value ReadDescriptor(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  const auto fd = GetWhole(env, info[0]);
  if (!fd) return env.Undefined();
  const auto buffer = GetBuffer(env, info[1]);
  if (!buffer) return env.Undefined();
  const auto offset = GetWhole(env, info[2]);
  if (!offset) return env.Undefined();
  if (*offset >= buffer->size()) return Throw(env, {Code::kInvalidArgument, "The offset is not inside the buffer."});
#if defined(_WIN32)
  return Fail(env, "Reading a secret from a descriptor");
#else
  pollfd waiting{static_cast<int>(*fd), POLLIN, 0};
  int ready = 0;
  do {
    ready = poll(&waiting, 1, 0);
  } while (ready < 0 && errno == EINTR);
  if (ready < 0) return Fail(env, "poll");
  if (ready == 0) return Napi::Number::New(env, -1);
  ssize_t got = 0;
  do {
    got = read(waiting.fd, buffer->data() + *offset, buffer->size() - *offset);
  } while (got < 0 && errno == EINTR);
  if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return Napi::Number::New(env, -1);
  if (got < 0) return Fail(env, "read");
  return Napi::Number::New(env, static_cast<double>(got));
#endif
}

// bufferCopy(from, to): the bytes of one at the beginning of another, at least as large one.
[[gnu::noinline]] Napi::Value BufferCopy(const Napi::CallbackInfo& info) {
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
  const auto length = GetWhole(env, info[1]);
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
  const auto fd = GetWhole(env, info[0]);
  if (!fd) return env.Undefined();
  if (!info[1].IsBoolean()) {
    Napi::TypeError::New(env, "expected a boolean").ThrowAsJavaScriptException();
    return env.Undefined();
  }
#if defined(_WIN32)
  return Fail(env, "Switching a terminal's echo off");
#else
  termios state{};
  if (tcgetattr(static_cast<int>(*fd), &state) != 0) return Fail(env, "tcgetattr");
  if (info[1].As<Napi::Boolean>()) {
    state.c_lflag |= ECHO;
    state.c_lflag &= ~static_cast<tcflag_t>(ECHONL);
  } else {
    state.c_lflag &= ~static_cast<tcflag_t>(ECHO);
    state.c_lflag |= ECHONL;
  }
  // What was typed before the question is no answer to it.
  if (tcsetattr(static_cast<int>(*fd), TCSAFLUSH, &state) != 0) return Fail(env, "tcsetattr");
  return env.Undefined();
#endif
}

}  // namespace

void InitDescriptor(Napi::Env env, Napi::Object exports) {
  Export<ReadDescriptor>(env, exports, "readDescriptor");
  Export<ThenWipeStack<BufferCopy>>(env, exports, "bufferCopy");
  Export<BufferTruncate>(env, exports, "bufferTruncate");
  Export<TerminalEcho>(env, exports, "terminalEcho");
}

}  // namespace nomyo::addon
