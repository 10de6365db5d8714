#include "addon/open.h"

#include <array>
#include <cstring>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>

#include "addon/argument.h"
#include "addon/crypto.h"
#include "addon/error.h"
#include "addon/function.h"
#include "addon/handle.h"
#include "addon/hex.h"
#include "addon/job.h"
#include "addon/json_value.h"
#include "addon/property.h"
#include "addon/secure_buffer_handle.h"
#include "addon/uint8_array.h"
#include "core/crypto/hmac_sha256.h"
#include "core/envelope/opener.h"
#include "core/json/pointer.h"
#include "core/json/string.h"
#include "core/json/text_scan.h"
#include "core/json/utf8.h"
#include "core/memory/bulk_memory.h"

namespace nomyo::addon {

// OpenedObject is what an opened handle owns.
struct OpenedObject {
  OpenedPackage package;
  // For a receipt: a digest under a key, which is no secret.
  std::optional<std::array<std::uint8_t, kSha256Bytes>> plaintext_hmac;
  // The client's: what is made of the plaintext obeys it too.
  Locking locking = Locking::kRequired;
  bool disposed = false;
  int readers = 0;

  void Dispose() {
    disposed = true;
    if (readers == 0) package = {};
  }
};

// Reading keeps the plaintext while JavaScript values are made of it. Where somebody has put a setter or a proxy in a
// prototype's place, that code runs meanwhile, and may dispose of the package: it is wiped afterwards then.
class Reading {
 public:
  explicit Reading(OpenedObject& opened) : opened_(opened) { ++opened_.readers; }
  ~Reading() {
    if (--opened_.readers == 0 && opened_.disposed) opened_.package = {};
  }
  Reading(const Reading&) = delete;
  Reading& operator=(const Reading&) = delete;

 private:
  OpenedObject& opened_;
};

template <>
struct HandleTag<OpenedObject> {
  static constexpr napi_type_tag value = {0x7cd3150e94ab4e62, 0xb1860ff2d95e7a3c};
  static constexpr const char* name = "an opened package";
};

namespace {

// What these functions keep for one environment.
struct OpenState {
  JsonValueMaker::Helpers helpers;
};

class OpenJob final : public PromiseJob {
 public:
  OpenJob(std::shared_ptr<const RsaPrivateKey> key, BulkMemory memory, std::size_t size, const OpenLimits& limits,
          std::optional<SecureBuffer> digest_key)
      : key_(std::move(key)),
        memory_(std::move(memory)),
        size_(size),
        limits_(limits),
        digest_key_(std::move(digest_key)) {}

  Status Work() override {
    auto decoded = DecodePackage({memory_.data(), size_}, limits_, cancellation());
    memory_ = {};
    if (!decoded) return decoded.error();
    auto opened = OpenPackage(*key_, std::move(*decoded), limits_, cancellation());
    key_.reset();
    if (!opened) return opened.error();
    opened_ = std::make_shared<OpenedObject>();
    opened_->package = std::move(*opened);
    if (digest_key_) {
      auto hmac = HmacSha256::Start(std::as_const(*digest_key_).bytes());
      if (!hmac) return hmac.error();
      digest_key_.reset();
      Status status = hmac->Update(std::as_const(opened_->package.plaintext).bytes());
      if (!status) return status;
      auto digest = hmac->Finish();
      if (!digest) return digest.error();
      opened_->plaintext_hmac = *digest;
    }
    opened_->locking = CurrentLocking();
    return Status::Ok();
  }

  Napi::Value Resolve(Napi::Env env) override {
    const auto size = static_cast<std::int64_t>(opened_->package.plaintext.size());
    return NewHandle(env, std::move(opened_), size);
  }

 private:
  std::shared_ptr<const RsaPrivateKey> key_;
  BulkMemory memory_;  // the package: a copy, since JavaScript can reach the original
  std::size_t size_;
  OpenLimits limits_;
  std::optional<SecureBuffer> digest_key_;  // a copy, for the same reason
  std::shared_ptr<OpenedObject> opened_;
};

Napi::Value Open(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  if (!info[2].IsObject()) return ThrowTypeError(env, "expected limits");
  // First the limits: reading them may run JavaScript.
  const auto given_key = GetProperty(env, info[2], "digestKey");
  if (!given_key) return env.Undefined();
  const auto most_bytes = GetWholeProperty(env, info[2], "maxPlaintextBytes", 0, kMostWhole, "expected limits");
  if (!most_bytes) return env.Undefined();
  const auto most_depth = GetWholeProperty(env, info[2], "maxDepth", 1, kMostDepth, "expected limits");
  if (!most_depth) return env.Undefined();
  const auto locking = GetLocking(env, info[3]);
  if (!locking) return env.Undefined();
  const OpenLimits limits{*most_bytes, *most_depth};
  std::optional<SecureBuffer> digest_key;
  if (!given_key->IsUndefined()) {
    LockingScope scope(*locking);
    digest_key = CopyBuffer(env, *given_key);
    if (!digest_key) return env.Undefined();
  }
  // No JavaScript runs from here on until the bytes are copied. The copy is a small part of what opening takes, too
  // little to have a second way for bodies that nobody else can reach.
  const auto body = ReadUint8Array(env, info[1], "body");
  if (!body) return env.Undefined();
  auto key = GetPrivateKey(env, info[0]);
  if (!key) return env.Undefined();
  BulkMemory memory = BulkMemory::Allocate(body->size());
  if (!body->empty()) {
    if (memory.empty()) return Throw(env, {Code::kOutOfMemory, "No memory was left for the package."});
    std::memcpy(memory.data(), body->data(), body->size());
  }
  return Start(
      env, std::make_shared<OpenJob>(std::move(key), std::move(memory), body->size(), limits, std::move(digest_key)),
      *locking, info[4]);
}

std::shared_ptr<OpenedObject> GetOpened(Napi::Env env, napi_value value) {
  auto opened = GetHandle<OpenedObject>(env, value);
  if (opened && opened->disposed) {
    Throw(env, {Code::kDisposed, "The answer was disposed of."});
    return nullptr;
  }
  return opened;
}

// Numbers and short strings of the plaintext go over the stack here.
Napi::Value MakeValue(const Napi::CallbackInfo& info, OpenedObject& opened, std::span<const std::uint8_t> text) {
  const auto& helpers = static_cast<OpenState*>(info.Data())->helpers;
  LockingScope scope(opened.locking);
  const Reading reading(opened);
  const napi_value value = JsonValueMaker(info.Env(), helpers).Make(text, opened.package.facts);
  return value == nullptr ? info.Env().Undefined() : Napi::Value(info.Env(), value);
}

Napi::Value OpenedValue(const Napi::CallbackInfo& info) {
  auto opened = GetOpened(info.Env(), info[0]);
  if (!opened) return info.Env().Undefined();
  return MakeValue(info, *opened, opened->package.plaintext.bytes());
}

// A JavaScript string as WTF-8, so that a key that is half a surrogate pair can be named too.
std::string PointerText(const Napi::String& pointer) {
  std::string text;
  const std::u16string units = pointer.Utf16Value();
  for (std::size_t i = 0; i < units.size(); ++i) {
    std::uint32_t point = units[i];
    if (point >= 0xD800 && point <= 0xDBFF && i + 1 < units.size() && units[i + 1] >= 0xDC00 &&
        units[i + 1] <= 0xDFFF) {
      point = 0x10000 + ((point - 0xD800) << 10) + (units[++i] - 0xDC00u);
    }
    std::uint8_t bytes[4];
    text.append(reinterpret_cast<const char*>(bytes), static_cast<std::size_t>(PutUtf8(bytes, point) - bytes));
  }
  return text;
}

std::optional<std::span<const std::uint8_t>> FindOpened(const Napi::CallbackInfo& info, const OpenedObject& opened) {
  if (!info[1].IsString()) {
    ThrowTypeError(info.Env(), "expected a JSON pointer");
    return std::nullopt;
  }
  LockingScope scope(opened.locking);
  auto found = FindPointer(opened.package.plaintext.bytes(), PointerText(info[1].As<Napi::String>()),
                           opened.package.facts.long_strings);
  if (!found) {
    Throw(info.Env(), found.error());
    return std::nullopt;
  }
  return *found;
}

Napi::Value OpenedGet(const Napi::CallbackInfo& info) {
  auto opened = GetOpened(info.Env(), info[0]);
  if (!opened) return info.Env().Undefined();
  std::size_t most_bytes = kMostWhole;
  if (!info[2].IsUndefined()) {
    const auto given = GetWhole(info.Env(), info[2], 0, kMostWhole, "expected a size limit");
    if (!given) return info.Env().Undefined();
    most_bytes = *given;
  }
  const auto found = FindOpened(info, *opened);
  if (!found) return info.Env().Undefined();
  if (found->size() > most_bytes) {
    return Throw(info.Env(), {Code::kTooLarge, "The value at this JSON pointer is longer than allowed."});
  }
  return MakeValue(info, *opened, *found);
}

Napi::Value OpenedGetBuffer(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  auto opened = GetOpened(env, info[0]);
  if (!opened) return env.Undefined();
  const auto locking = GetLocking(env, info[2]);
  if (!locking) return env.Undefined();
  const auto found = FindOpened(info, *opened);
  if (!found) return env.Undefined();
  if ((*found)[0] != '"') return Throw(env, {Code::kNotFound, "There is no string at this JSON pointer."});
  LockingScope scope(*locking);
  const JsonString string = JsonCursor(*found, opened->package.facts.long_strings).String();
  auto buffer = SecureBuffer::Allocate(string.raw.size());
  if (!buffer) return Throw(env, buffer.error());
  bool lone = false;
  const std::size_t length = DecodeUtf8(string.raw, buffer->data(), &lone);
  if (lone) return Throw(env, {Code::kUtf8, "The string holds half of a surrogate pair, which has no UTF-8 form."});
  buffer->Truncate(length);
  return NewBufferHandle(env, std::move(*buffer));
}

Napi::Value OpenedText(const Napi::CallbackInfo& info) {
  auto opened = GetOpened(info.Env(), info[0]);
  if (!opened) return info.Env().Undefined();
  const auto bytes = std::as_const(opened->package.plaintext).bytes();
  const auto& helpers = static_cast<OpenState*>(info.Data())->helpers;
  const napi_value text = JsonValueMaker(info.Env(), helpers).MakeText(bytes, AsciiPrefix(bytes) == bytes.size());
  return text == nullptr ? info.Env().Undefined() : Napi::Value(info.Env(), text);
}

Napi::Value OpenedProcessedAt(const Napi::CallbackInfo& info) {
  auto opened = GetOpened(info.Env(), info[0]);
  if (!opened || !opened->package.processed_at) return info.Env().Undefined();
  return Napi::Number::New(info.Env(), *opened->package.processed_at);
}

Napi::Value OpenedHmac(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  const auto opened = GetHandle<OpenedObject>(env, info[0]);
  if (!opened || !opened->plaintext_hmac) return env.Undefined();
  return HexValue(env, *opened->plaintext_hmac);
}

Napi::Value OpenedByteLength(const Napi::CallbackInfo& info) {
  auto opened = GetOpened(info.Env(), info[0]);
  if (!opened) return info.Env().Undefined();
  return Napi::Number::New(info.Env(), static_cast<double>(opened->package.plaintext.size()));
}

Napi::Value OpenedTakeBuffer(const Napi::CallbackInfo& info) {
  auto opened = GetOpened(info.Env(), info[0]);
  if (!opened) return info.Env().Undefined();
  if (opened->readers != 0) {
    return Throw(info.Env(), {Code::kInvalidArgument, "The answer cannot be taken while values are made of it."});
  }
  SecureBuffer plaintext = std::move(opened->package.plaintext);
  opened->Dispose();
  return NewBufferHandle(info.Env(), std::move(plaintext));
}

Napi::Value OpenedDispose(const Napi::CallbackInfo& info) {
  auto opened = GetHandle<OpenedObject>(info.Env(), info[0]);
  if (opened) opened->Dispose();
  return info.Env().Undefined();
}

}  // namespace

void InitOpen(Napi::Env env, Napi::Object exports) {
  ExportSecret<OpenedGetBuffer>(env, exports, "openedGetBuffer");
  ExportSecret<Open>(env, exports, "open");
  Export<OpenedHmac>(env, exports, "openedHmac");
  Export<OpenedProcessedAt>(env, exports, "openedProcessedAt");
  Export<OpenedByteLength>(env, exports, "openedByteLength");
  Export<OpenedTakeBuffer>(env, exports, "openedTakeBuffer");
  Export<OpenedDispose>(env, exports, "openedDispose");
  auto helpers = JsonValueMaker::MakeHelpers(env);
  if (!helpers) return;
  auto state = std::make_unique<OpenState>();
  state->helpers = std::move(*helpers);
  OpenState* const kept = state.release();
  env.AddCleanupHook([kept] { delete kept; });
  ExportSecret<OpenedText>(env, exports, "openedText", kept);
  ExportSecret<OpenedValue>(env, exports, "openedValue", kept);
  ExportSecret<OpenedGet>(env, exports, "openedGet", kept);
}

}  // namespace nomyo::addon
