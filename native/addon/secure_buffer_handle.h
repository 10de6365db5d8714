// The native side of a BufferHandle (lib/native.ts): secret bytes in the pool that JavaScript owns.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>

#include <napi.h>

#include "addon/handle.h"
#include "core/memory/secure_buffer.h"

namespace nomyo::addon {

// BufferObject is what a handle owns. It is used on its environment's thread only, but the bytes may be shared with
// jobs.
//
// Two owners are told apart. Whoever uses the bytes (the handle until it is disposed of, and what was given them) holds
// the secret; when the last of these goes, the bytes are wiped. The memory itself stays as long as a view's array
// buffer may still point to it, which the collector decides: such a view sees zeros, never freed memory.
//
// All of it is the JavaScript thread's: a job on another thread gets a copy (CopyBuffer), because a view may change or
// lose the bytes at any moment. The exceptions are scanObject, echo and composeChatEvents, whose text may be too large
// for a copy (GetUnviewedBuffer): ScanMembers, EchoAnswer and ComposeChatEvents bear a writer.
class BufferObject {
 public:
  explicit BufferObject(SecureBuffer buffer);
  // A second owner of the same secret, which is not disposed of. The bytes are wiped when the last owner goes.
  BufferObject(const BufferObject& other) : secret_(other.secret_) {}
  BufferObject& operator=(const BufferObject&) = delete;

  bool disposed() const;
  // bytes shares the secret; empty after disposal, and for every owner after another one's Forfeit.
  std::shared_ptr<SecureBuffer> bytes() const;
  // memory keeps the memory alive without keeping the secret.
  std::shared_ptr<SecureBuffer> memory() const;
  void Dispose() { secret_.reset(); }
  // Forfeit is for memory that JavaScript may reach for ever: a view of it got away (ArrayBuffer.prototype.transfer).
  // It is wiped at once, for whoever else holds it too, and never given back to the pool.
  void Forfeit();

  // A view was given out, or came back. They are counted for this owner, who cannot be disposed of meanwhile (another
  // one can: the secret stays), and for the memory, which must then be neither cut nor given to another thread.
  void ViewBegins();
  void ViewEnds();
  std::size_t own_views() const { return own_views_; }
  // views counts every owner's.
  std::size_t views() const;

 private:
  struct Secret;
  std::size_t own_views_ = 0;
  std::shared_ptr<Secret> secret_;
};

template <>
struct HandleTag<BufferObject> {
  static constexpr napi_type_tag value = {0x2f4c0d6be1a94b58, 0xa7e35c1890bd62f3};
  static constexpr const char* name = "a secure buffer";
};

// NewBufferHandle hands `buffer` over to JavaScript.
Napi::Value NewBufferHandle(Napi::Env env, SecureBuffer buffer);

// GetBuffer returns the bytes behind a handle, or an empty pointer with an exception pending: a TypeError, or DISPOSED.
// For the duration of a call: no other thread may read them, since a view can change them meanwhile.
std::shared_ptr<SecureBuffer> GetBuffer(Napi::Env env, napi_value value);

// GetUnviewedBuffer is GetBuffer for a job that reads the bytes where they lie: INVALID_ARGUMENT is pending, too, while
// a view of them is out. JavaScript may take one when the job has begun, so the job must bear a writer.
std::shared_ptr<SecureBuffer> GetUnviewedBuffer(Napi::Env env, napi_value value);

// CopyBuffer returns a copy of the bytes behind a handle, for a job; under the calling thread's Locking. Nothing
// with an exception pending on failure.
std::optional<SecureBuffer> CopyBuffer(Napi::Env env, napi_value value);

// ReadUtf8 copies a JavaScript string into the pool as UTF-8, by way of pool memory only, under the calling thread's
// Locking. kUtf8 for lone surrogates.
Result<SecureBuffer> ReadUtf8(Napi::Env env, napi_value string);

}  // namespace nomyo::addon
