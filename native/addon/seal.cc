#include "addon/seal.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "addon/argument.h"
#include "addon/crypto.h"
#include "addon/error.h"
#include "addon/function.h"
#include "addon/handle.h"
#include "addon/hex.h"
#include "addon/package_memory.h"
#include "addon/property.h"
#include "addon/secure_buffer_handle.h"
#include "addon/text_reader.h"
#include "addon/uint8_array.h"
#include "core/envelope/sealer.h"
#include "core/memory/bulk_memory.h"

namespace nomyo::addon {
namespace {

// Smaller packages are copied into memory of V8's own: cheaper than telling the collector about ours.
constexpr std::size_t kCopiedPackage = std::size_t{64} * 1024;

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
    const auto slot = GetElement(env_, slots_, next_++);
    if (!slot) return Error{Code::kInvalidArgument, "A slot cannot be read."};
    if (IsHandle<BufferObject>(env_, *slot)) {
      const auto buffer = GetBuffer(env_, *slot);
      if (!buffer) return Error{Code::kDisposed, "A SecureBuffer in the request was disposed of."};
      return writer_.StringUtf8(std::as_const(*buffer).bytes());
    }
    const Status status = reader_.Read(
        *slot, [this](std::span<const std::uint8_t> text) { return writer_.StringLatin1(text); },
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
    status = NewPackageArrayBuffer(env, memory, size, &buffer);
    // Electron allows no external memory: copy.
    if (status != napi_ok) status = CopyToArrayBuffer(env, {memory.data(), size}, &buffer);
  } else {
    status = CopyToArrayBuffer(env, {package.data(), size}, &buffer);
  }
  napi_value array = nullptr;
  if (status != napi_ok || napi_create_typedarray(env, napi_uint8_array, size, buffer, 0, &array) != napi_ok) {
    return Throw(env, {Code::kOutOfMemory, "No memory was left for the package."});
  }
  return {env, array};
}

struct GivenSealOptions {
  SealOptions seal;
  Locking locking;
  std::shared_ptr<SecureBuffer> digest_key;  // keeps what `seal` points to
};

// What sealing gives back: the package, or with a digest key the package and the plaintext's digest.
Napi::Value SealedValue(Napi::Env env, Sealer& sealer) {
  auto package = sealer.Finish();
  if (!package) return Throw(env, package.error());
  const Napi::Value sealed = PackageValue(env, std::move(*package));
  if (!sealer.digest() || env.IsExceptionPending()) return sealed;
  Napi::Object both = Napi::Object::New(env);
  both.Set("sealed", sealed);
  both.Set("hmac", HexValue(env, *sealer.digest()));
  return both;
}

// The options argument of both kinds of sealing; nothing with an exception pending.
std::optional<GivenSealOptions> ReadSealOptions(Napi::Env env, const Napi::Value& value) {
  if (!value.IsObject()) {
    ThrowTypeError(env, "expected options");
    return std::nullopt;
  }
  const auto given_locking = GetProperty(env, value, "locking");
  const auto given_limit = GetProperty(env, value, "maxPlaintextBytes");
  const auto given_expected = GetProperty(env, value, "expectedBytes");
  const auto given_padding = GetProperty(env, value, "padding");
  const auto given_at = GetProperty(env, value, "processedAt");
  const auto given_key = GetProperty(env, value, "digestKey");
  if (!given_locking || !given_limit || !given_expected || !given_padding || !given_at || !given_key)
    return std::nullopt;
  // All has been read: no JavaScript runs from here on.
  const auto locking = GetLocking(env, *given_locking);
  if (!locking) return std::nullopt;
  const auto limit = GetWhole(env, *given_limit, 0, kMostWhole, "expected a size limit");
  if (!limit) return std::nullopt;
  SealOptions options{*limit, *limit, Padding::kNone, std::nullopt, {}};
  // A guess about memory, so one that cannot be right is no error.
  if (given_expected->IsNumber()) {
    const double expected = given_expected->As<Napi::Number>().DoubleValue();
    if (expected >= 0 && expected <= static_cast<double>(*limit)) options.expected = static_cast<std::size_t>(expected);
  }
  if (!given_padding->IsUndefined()) {
    const std::string padding = given_padding->IsString() ? given_padding->As<Napi::String>().Utf8Value() : "";
    if (padding == "bucket") {
      options.padding = Padding::kBucket;
    } else if (padding != "none") {
      ThrowTypeError(env, "expected the padding 'none' or 'bucket'");
      return std::nullopt;
    }
  }
  if (given_at->IsNumber()) options.processed_at = given_at->As<Napi::Number>().Int64Value();
  std::shared_ptr<SecureBuffer> digest_key;
  if (!given_key->IsUndefined()) {
    digest_key = GetBuffer(env, *given_key);
    if (!digest_key) return std::nullopt;
    options.digest_key = std::as_const(*digest_key).bytes();
  }
  return GivenSealOptions{options, *locking, std::move(digest_key)};
}

Napi::Value Seal(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  if (!info[2].IsString() || !info[3].IsArray()) return ThrowTypeError(env, "expected a marker and slots");
  // First the options: reading them may run JavaScript.
  const auto options = ReadSealOptions(env, info[4]);
  if (!options) return env.Undefined();
  const auto recipient = GetPublicKey(env, info[0]);
  if (!recipient) return env.Undefined();
  std::string marker = info[2].As<Napi::String>().Utf8Value();
  if (marker.empty()) return ThrowTypeError(env, "expected a marker");

  LockingScope scope(options->locking);
  auto sealer = Sealer::Start(recipient->parts->wrapper, options->seal);
  if (!sealer) return Throw(env, sealer.error());
  SkeletonWriter writer(env, (*sealer)->writer(), std::move(marker), info[3].As<Napi::Array>());
  const Status status = writer.Write(info[1]);
  if (!status) return Throw(env, status.error());
  return SealedValue(env, **sealer);
}

// Only the ciphertext leaves the pool here, and the stack holds no more than the cipher's own state.
Napi::Value SealBytes(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  // First the options, then the bytes: reading either may run JavaScript.
  auto options = ReadSealOptions(env, info[2]);
  if (!options) return env.Undefined();
  const auto json = ReadUint8Array(env, info[1], "json");
  if (!json) return env.Undefined();
  const auto recipient = GetPublicKey(env, info[0]);
  if (!recipient) return env.Undefined();
  options->seal.expected = std::min(json->size(), options->seal.limit);

  LockingScope scope(options->locking);
  auto sealer = Sealer::Start(recipient->parts->wrapper, options->seal);
  if (!sealer) return Throw(env, sealer.error());
  if (const Status status = (*sealer)->writer().RawUtf8(*json); !status) {
    return Throw(env, status.error());
  }
  return SealedValue(env, **sealer);
}

}  // namespace

void InitSeal(Napi::Env env, Napi::Object exports) {
  ExportSecret<Prepared<Seal>>(env, exports, "seal");
  ExportSecret<Prepared<SealBytes>>(env, exports, "sealBytes");
}

}  // namespace nomyo::addon
