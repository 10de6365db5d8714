#include "addon/envelope.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "addon/crypto.h"
#include "addon/error.h"
#include "addon/function.h"
#include "addon/handle.h"
#include "addon/job.h"
#include "addon/json_value.h"
#include "addon/secure_buffer_handle.h"
#include "addon/uint8_array.h"
#include "core/envelope/opener.h"
#include "core/envelope/sealer.h"
#include "core/json/pointer.h"
#include "core/json/string.h"
#include "core/json/text_scan.h"
#include "core/json/utf8.h"
#include "core/memory/bulk_memory.h"

namespace nomyo::addon {

// OpenedObject is what an opened handle owns.
struct OpenedObject {
  OpenedPackage package;
  // The client's: what is made of the plaintext obeys it too.
  LockPolicy policy = LockPolicy::kRequired;
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

// ---- sealing --------------------------------------------------------------------------------------------------------

// The longest piece of text that is read from V8 at once, in UTF-16 code units (lib/envelope/seal.ts cuts to this).
constexpr std::size_t kPieceUnits = std::size_t{16} * 1024;
// Smaller packages are copied into memory of V8's own: cheaper than telling the collector about ours.
constexpr std::size_t kCopiedPackage = std::size_t{64} * 1024;

Napi::Value ThrowType(Napi::Env env, const char* message) {
  Napi::TypeError::New(env, message).ThrowAsJavaScriptException();
  return env.Undefined();
}

// TextReader reads JavaScript strings, a piece at a time, into pool memory.
class TextReader {
 public:
  explicit TextReader(Napi::Env env) : env_(env) {}

  // For each piece of `text` (a Latin-1 string, or { wide, pieces }) calls latin1(bytes) or utf16(units). Fails with a
  // TypeError when it is something else, or a piece is too long.
  template <class Latin1, class Utf16>
  Status Read(napi_value text, Latin1 latin1, Utf16 utf16) {
    const Napi::Value value(env_, text);
    if (value.IsString()) return ReadPiece(value, false, latin1, utf16);
    if (!value.IsObject()) return WrongType();
    const Napi::Object cut = value.As<Napi::Object>();
    const Napi::Value pieces = cut.Get("pieces");
    const bool wide = cut.Get("wide").ToBoolean();
    if (!pieces.IsArray()) return WrongType();
    const std::uint32_t count = pieces.As<Napi::Array>().Length();
    for (std::uint32_t i = 0; i < count; ++i) {
      Napi::HandleScope scope(env_);
      Status status = ReadPiece(pieces.As<Napi::Array>().Get(i), wide, latin1, utf16);
      if (!status) return status;
    }
    return Status::Ok();
  }

 private:
  static Status WrongType() {
    return Error{Code::kInvalidArgument, "seal: expected strings as lib/envelope cuts them."};
  }

  template <class Latin1, class Utf16>
  Status ReadPiece(const Napi::Value& piece, bool wide, Latin1& latin1, Utf16& utf16) {
    std::size_t length = 0;
    if (napi_get_value_string_latin1(env_, piece, nullptr, 0, &length) != napi_ok || length > kPieceUnits) {
      return WrongType();
    }
    // Room for the zero that Node-API writes after the text.
    const std::size_t bytes = (length + 1) * (wide ? sizeof(char16_t) : 1);
    if (scratch_.size() < bytes) {
      auto scratch = SecureBuffer::Allocate(bytes);
      if (!scratch) return scratch.error();
      scratch_ = std::move(*scratch);
    }
    std::size_t copied = 0;
    if (wide) {
      auto* units = reinterpret_cast<char16_t*>(scratch_.data());
      if (napi_get_value_string_utf16(env_, piece, units, length + 1, &copied) != napi_ok) return WrongType();
      return utf16(std::span<const char16_t>(units, copied));
    }
    auto* chars = reinterpret_cast<char*>(scratch_.data());
    if (napi_get_value_string_latin1(env_, piece, chars, length + 1, &copied) != napi_ok) return WrongType();
    return latin1(std::span<const std::uint8_t>(scratch_.data(), copied));
  }

  Napi::Env env_;
  SecureBuffer scratch_;
};

// SkeletonWriter copies the skeleton and puts a slot's text in the place of each marker.
class SkeletonWriter {
 public:
  SkeletonWriter(Napi::Env env, JsonWriter& writer, std::string marker, Napi::Array slots)
      : env_(env),
        writer_(writer),
        marker_(std::move(marker)),
        wide_marker_(marker_.begin(), marker_.end()),
        slots_(slots),
        count_(slots.Length()) {}

  Status Write(napi_value skeleton) {
    TextReader reader(env_);
    Status status = reader.Read(
        skeleton,
        [this](std::span<const std::uint8_t> text) {
          return Splice(std::string_view(reinterpret_cast<const char*>(text.data()), text.size()), marker_,
                        [this](std::string_view part) {
                          return writer_.RawLatin1({reinterpret_cast<const std::uint8_t*>(part.data()), part.size()});
                        });
        },
        [this](std::span<const char16_t> text) {
          return Splice(std::u16string_view(text.data(), text.size()), wide_marker_,
                        [this](std::u16string_view part) { return writer_.RawUtf16({part.data(), part.size()}); });
        });
    if (status && (next_ != count_ || matched_ != 0)) {
      // A key or a string of the caller holds the marker, which is random: it can only have been read off this process.
      return Error{Code::kInvalidArgument, "The request holds this call's own marker and cannot be sealed."};
    }
    return status;
  }

 private:
  // The marker may be cut by the border between two pieces: `matched_` of its characters ended the former piece. Its
  // first character occurs in it only once, so that a broken-off match can only restart at the character at hand.
  template <class View, class Marker, class Raw>
  Status Splice(View text, const Marker& marker, Raw raw) {
    while (!text.empty()) {
      if (matched_ == 0) {
        const std::size_t start = std::min(text.find(marker[0]), text.size());
        Status status = raw(text.substr(0, start));
        if (!status) return status;
        text.remove_prefix(start);
      }
      while (!text.empty() && matched_ < marker.size() && text[0] == marker[matched_]) {
        text.remove_prefix(1);
        ++matched_;
      }
      if (matched_ == marker.size()) {
        matched_ = 0;
        Status status = Slot();
        if (!status) return status;
      } else if (!text.empty() && matched_ != 0) {
        Status status = raw(View(marker).substr(0, matched_));
        if (!status) return status;
        matched_ = 0;
      }
    }
    return Status::Ok();
  }

  Status Slot() {
    if (next_ == count_)
      return Error{Code::kInvalidArgument, "The request holds this call's own marker and cannot be sealed."};
    Napi::HandleScope scope(env_);
    const Napi::Value slot = slots_.Get(next_++);
    if (IsHandle<BufferObject>(env_, slot)) {
      const auto buffer = GetBuffer(env_, slot);
      if (!buffer) return Error{Code::kDisposed, "A SecureBuffer in the request was disposed of."};
      return writer_.StringUtf8(std::as_const(*buffer).bytes());
    }
    const Status status = reader_.Read(
        slot, [this](std::span<const std::uint8_t> text) { return writer_.StringLatin1(text); },
        [this](std::span<const char16_t> text) { return writer_.StringUtf16(text); });
    return status ? writer_.EndString() : status;
  }

  Napi::Env env_;
  JsonWriter& writer_;
  std::string marker_;
  std::u16string wide_marker_;
  Napi::Array slots_;
  std::uint32_t count_;
  std::uint32_t next_ = 0;
  std::size_t matched_ = 0;
  TextReader reader_{env_};
};

// An ArrayBuffer of V8's own with `bytes` in it. By way of a Buffer, whose memory Node does not fill with zeros first.
napi_status CopyToArrayBuffer(napi_env env, std::span<const std::uint8_t> bytes, napi_value* array_buffer) {
  void* copy = nullptr;
  napi_value buffer = nullptr;
  const napi_status status = napi_create_buffer(env, bytes.size(), &copy, &buffer);
  if (status != napi_ok) return status;
  std::memcpy(copy, bytes.data(), bytes.size());
  return napi_get_typedarray_info(env, buffer, nullptr, nullptr, nullptr, array_buffer, nullptr);
}

Napi::Value PackageValue(Napi::Env env, PackageBytes package) {
  const std::size_t size = package.size();
  napi_value buffer = nullptr;
  napi_status status = napi_generic_failure;
  if (size > kCopiedPackage) {
    BulkMemory memory = package.Release();
    // The finalizer's hint is the block's size.
    status = napi_create_external_arraybuffer(
        env, memory.data(), size,
        [](napi_env, void* bytes, void* hint) { BulkMemory::Free(bytes, reinterpret_cast<std::uintptr_t>(hint)); },
        reinterpret_cast<void*>(memory.size()),  // NOLINT(performance-no-int-to-ptr): a number, never a pointer
        &buffer);
    if (status == napi_ok) {
      memory.Release();
    } else {
      // Electron allows no external memory: copy.
      status = CopyToArrayBuffer(env, {memory.data(), size}, &buffer);
    }
  } else {
    status = CopyToArrayBuffer(env, {package.data(), size}, &buffer);
  }
  napi_value array = nullptr;
  if (status != napi_ok || napi_create_typedarray(env, napi_uint8_array, size, buffer, 0, &array) != napi_ok) {
    if (env.IsExceptionPending()) return env.Undefined();
    return Throw(env, {Code::kOutOfMemory, "No memory was left for the package."});
  }
  return {env, array};
}

struct GivenSealOptions {
  SealOptions seal;
  LockPolicy policy;
};

// The options argument of both kinds of sealing; nothing with an exception pending.
std::optional<GivenSealOptions> ReadSealOptions(Napi::Env env, const Napi::Value& value) {
  if (!value.IsObject()) {
    ThrowType(env, "expected options");
    return std::nullopt;
  }
  const Napi::Object given = value.As<Napi::Object>();
  const auto policy = GetLockPolicy(env, given.Get("policy"));
  if (!policy) return std::nullopt;
  const double limit = given.Get("maxPlaintextBytes").ToNumber();
  const double expected = given.Get("expectedBytes").ToNumber();
  if (!(limit >= 0) || !(limit <= 9e15)) {
    ThrowType(env, "expected a size limit");
    return std::nullopt;
  }
  SealOptions options{
      static_cast<std::size_t>(limit),
      expected >= 0 && expected <= limit ? static_cast<std::size_t>(expected) : static_cast<std::size_t>(limit),
      Padding::kNone, std::nullopt};
  if (given.Get("padding").ToString().Utf8Value() == "bucket") options.padding = Padding::kBucket;
  if (const Napi::Value at = given.Get("processedAt"); at.IsNumber()) {
    options.processed_at = at.As<Napi::Number>().Int64Value();
  }
  return GivenSealOptions{options, *policy};
}

[[gnu::noinline]] Napi::Value SealOnThisStack(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  auto recipient = GetPublicKey(env, info[0]);
  if (!recipient) return env.Undefined();
  if (!info[2].IsString() || !info[3].IsArray()) return ThrowType(env, "expected a marker and slots");
  const auto options = ReadSealOptions(env, info[4]);
  if (!options) return env.Undefined();
  std::string marker = info[2].As<Napi::String>().Utf8Value();
  if (marker.empty()) return ThrowType(env, "expected a marker");

  LockPolicyScope scope(options->policy);
  auto sealer = Sealer::Start(recipient->parts->wrapper, options->seal);
  if (!sealer) return Throw(env, sealer.error());
  SkeletonWriter writer(env, (*sealer)->writer(), std::move(marker), info[3].As<Napi::Array>());
  const Status status = writer.Write(info[1]);
  if (env.IsExceptionPending()) return env.Undefined();
  if (!status) return Throw(env, status.error());
  auto package = (*sealer)->Finish();
  if (!package) return Throw(env, package.error());
  return PackageValue(env, std::move(*package));
}

// Only the ciphertext leaves the pool here, and the stack holds no more than the cipher's own state.
[[gnu::noinline]] Napi::Value SealBytesOnThisStack(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  auto recipient = GetPublicKey(env, info[0]);
  if (!recipient) return env.Undefined();
  // First the options: reading them may run JavaScript.
  auto options = ReadSealOptions(env, info[2]);
  if (!options) return env.Undefined();
  const auto json = ReadUint8Array(env, info[1], "json");
  if (!json) return env.Undefined();
  options->seal.expected = std::min(json->size(), options->seal.limit);

  LockPolicyScope scope(options->policy);
  auto sealer = Sealer::Start(recipient->parts->wrapper, options->seal);
  if (!sealer) return Throw(env, sealer.error());
  if (const Status status = (*sealer)->writer().RawUtf8(*json); !status) {
    return Throw(env, status.error());
  }
  auto package = (*sealer)->Finish();
  if (!package) return Throw(env, package.error());
  return PackageValue(env, std::move(*package));
}

// ---- opening --------------------------------------------------------------------------------------------------------

// What the functions of this file keep for one environment.
struct EnvelopeState {
  JsonValueMaker::Helpers helpers;
};

class OpenJob final : public PromiseJob {
 public:
  OpenJob(std::shared_ptr<const RsaPrivateKey> key, BulkMemory memory, std::size_t size, const OpenLimits& limits)
      : key_(std::move(key)), memory_(std::move(memory)), size_(size), limits_(limits) {}

  Status Work() override {
    auto decoded = DecodePackage({memory_.data(), size_}, limits_, cancellation());
    memory_ = {};
    if (!decoded) return decoded.error();
    auto opened = OpenPackage(*key_, std::move(*decoded), limits_, cancellation());
    key_.reset();
    if (!opened) return opened.error();
    opened_ = std::make_shared<OpenedObject>();
    opened_->package = std::move(*opened);
    opened_->policy = CurrentLockPolicy();
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
  std::shared_ptr<OpenedObject> opened_;
};

Napi::Value Open(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  auto key = GetPrivateKey(env, info[0]);
  if (!key) return env.Undefined();
  if (!info[2].IsObject()) return ThrowType(env, "expected limits");
  const Napi::Object given = info[2].As<Napi::Object>();
  const double most_bytes = given.Get("maxPlaintextBytes").ToNumber();
  const double most_depth = given.Get("maxDepth").ToNumber();
  if (!(most_bytes >= 0 && most_bytes <= 9e15) || !(most_depth >= 1 && most_depth <= 1e6)) {
    return ThrowType(env, "expected limits");
  }
  const auto policy = GetLockPolicy(env, info[3]);
  if (!policy) return env.Undefined();
  const OpenLimits limits{static_cast<std::size_t>(most_bytes), static_cast<std::size_t>(most_depth)};
  // No JavaScript runs from here on until the bytes are copied. The copy is a small part of what opening takes, too
  // little to have a second way for bodies that nobody else can reach.
  const auto body = ReadUint8Array(env, info[1], "body");
  if (!body) return env.Undefined();
  BulkMemory memory = BulkMemory::Allocate(body->size());
  if (!body->empty()) {
    if (memory.empty()) return Throw(env, {Code::kOutOfMemory, "No memory was left for the package."});
    std::memcpy(memory.data(), body->data(), body->size());
  }
  return Start(env, std::make_unique<OpenJob>(std::move(key), std::move(memory), body->size(), limits), *policy,
               info[4]);
}

std::shared_ptr<OpenedObject> GetOpened(Napi::Env env, napi_value value) {
  auto opened = GetHandle<OpenedObject>(env, value);
  if (opened && opened->disposed) {
    Throw(env, {Code::kDisposed, "The answer was disposed of."});
    return nullptr;
  }
  return opened;
}

// The functions that make values wipe the stack afterwards: numbers and short strings of the plaintext went over it.
Napi::Value MakeValue(const Napi::CallbackInfo& info, OpenedObject& opened, std::span<const std::uint8_t> text) {
  const auto& helpers = static_cast<EnvelopeState*>(info.Data())->helpers;
  LockPolicyScope scope(opened.policy);
  const Reading reading(opened);
  const napi_value value = JsonValueMaker(info.Env(), helpers).Make(text, opened.package.facts);
  return value == nullptr ? info.Env().Undefined() : Napi::Value(info.Env(), value);
}

[[gnu::noinline]] Napi::Value OpenedValue(const Napi::CallbackInfo& info) {
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
    ThrowType(info.Env(), "expected a JSON pointer");
    return std::nullopt;
  }
  LockPolicyScope scope(opened.policy);
  auto found = FindPointer(opened.package.plaintext.bytes(), PointerText(info[1].As<Napi::String>()),
                           opened.package.facts.long_strings);
  if (!found) {
    Throw(info.Env(), found.error());
    return std::nullopt;
  }
  return *found;
}

[[gnu::noinline]] Napi::Value OpenedGet(const Napi::CallbackInfo& info) {
  auto opened = GetOpened(info.Env(), info[0]);
  if (!opened) return info.Env().Undefined();
  const auto found = FindOpened(info, *opened);
  if (!found) return info.Env().Undefined();
  return MakeValue(info, *opened, *found);
}

[[gnu::noinline]] Napi::Value OpenedGetBuffer(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  auto opened = GetOpened(env, info[0]);
  if (!opened) return env.Undefined();
  const auto policy = GetLockPolicy(env, info[2]);
  if (!policy) return env.Undefined();
  const auto found = FindOpened(info, *opened);
  if (!found) return env.Undefined();
  if ((*found)[0] != '"') return Throw(env, {Code::kNotFound, "There is no string at this JSON pointer."});
  LockPolicyScope scope(*policy);
  const JsonString string = JsonCursor(*found, opened->package.facts.long_strings).String();
  auto buffer = SecureBuffer::Allocate(string.raw.size());
  if (!buffer) return Throw(env, buffer.error());
  bool lone = false;
  const std::size_t length = DecodeUtf8(string.raw, buffer->data(), &lone);
  if (lone) return Throw(env, {Code::kUtf8, "The string holds half of a surrogate pair, which has no UTF-8 form."});
  buffer->Truncate(length);
  return NewBufferHandle(env, std::move(*buffer));
}

[[gnu::noinline]] Napi::Value OpenedText(const Napi::CallbackInfo& info) {
  auto opened = GetOpened(info.Env(), info[0]);
  if (!opened) return info.Env().Undefined();
  const auto bytes = std::as_const(opened->package.plaintext).bytes();
  const auto& helpers = static_cast<EnvelopeState*>(info.Data())->helpers;
  const napi_value text = JsonValueMaker(info.Env(), helpers).MakeText(bytes, AsciiPrefix(bytes) == bytes.size());
  return text == nullptr ? info.Env().Undefined() : Napi::Value(info.Env(), text);
}

Napi::Value OpenedProcessedAt(const Napi::CallbackInfo& info) {
  auto opened = GetOpened(info.Env(), info[0]);
  if (!opened || !opened->package.processed_at) return info.Env().Undefined();
  return Napi::Number::New(info.Env(), *opened->package.processed_at);
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

void InitEnvelope(Napi::Env env, Napi::Object exports) {
  Export<Prepared<ThenWipeStack<SealOnThisStack>>>(env, exports, "seal");
  Export<Prepared<ThenWipeStack<SealBytesOnThisStack>>>(env, exports, "sealBytes");
  Export<ThenWipeStack<OpenedGetBuffer>>(env, exports, "openedGetBuffer");
  Export<Open>(env, exports, "open");
  Export<OpenedProcessedAt>(env, exports, "openedProcessedAt");
  Export<OpenedByteLength>(env, exports, "openedByteLength");
  Export<OpenedTakeBuffer>(env, exports, "openedTakeBuffer");
  Export<OpenedDispose>(env, exports, "openedDispose");
  auto helpers = JsonValueMaker::MakeHelpers(env);
  if (!helpers) return;
  auto* state = new EnvelopeState;
  state->helpers = std::move(*helpers);
  env.AddCleanupHook([state] { delete state; });
  exports.Set("openedText", Napi::Function::New<Guarded<ThenWipeStack<OpenedText>>>(env, "openedText", state));
  exports.Set("openedValue", Napi::Function::New<Guarded<ThenWipeStack<OpenedValue>>>(env, "openedValue", state));
  exports.Set("openedGet", Napi::Function::New<Guarded<ThenWipeStack<OpenedGet>>>(env, "openedGet", state));
}

}  // namespace nomyo::addon
