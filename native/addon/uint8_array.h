// Reading a Uint8Array. What JavaScript can reach is hostile: it can be transferred, resized or rewritten as soon as
// any JavaScript runs, and shared memory at any time.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include <napi.h>

namespace nomyo::addon {

// ReadUint8Array returns where the bytes of `value` are at this moment; otherwise an exception is pending: a TypeError
// for what is no Uint8Array, INVALID_ARGUMENT for one over a SharedArrayBuffer (other threads may write to it) or over
// a resizable ArrayBuffer. `what` names the argument in the message. Address and length are read together, once.
//
// The span is good until JavaScript runs next, a getter or a conversion of another argument included, and never for
// another thread: copy it. JavaScript thread.
std::optional<std::span<const std::uint8_t>> ReadUint8Array(Napi::Env env, napi_value value, const char* what);

}  // namespace nomyo::addon
