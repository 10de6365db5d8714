#include "addon/crypto.h"

#include <optional>
#include <string>
#include <utility>

#include "addon/argument.h"
#include "addon/error.h"
#include "addon/function.h"
#include "addon/job.h"
#include "addon/secure_buffer_handle.h"

namespace nomyo::addon {
namespace {

// What a 4096-bit key takes in the pool, about; tells the collector that a handle is not as light as it looks.
constexpr std::int64_t kKeyBytes = std::int64_t{8} * 1024;

Napi::Value NewPublicKey(Napi::Env env, Result<RsaPublicKey> key) {
  if (!key) return Throw(env, key.error());
  auto wrapper = KeyWrapper::For(*key);
  if (!wrapper) return Throw(env, wrapper.error());
  auto object = std::make_shared<PublicKeyObject>();
  object->parts.emplace(PublicKeyObject::Parts{std::move(*key), std::move(*wrapper)});
  return NewHandle(env, std::move(object), kKeyBytes);
}

// The optional password argument: null or a SecureBuffer, of which the job gets a copy. False with an exception
// pending.
bool GetPassword(Napi::Env env, const Napi::Value& value, std::optional<SecureBuffer>& password) {
  if (value.IsNull() || value.IsUndefined()) return true;
  password = CopyBuffer(env, value);
  return password.has_value();
}

std::optional<std::span<const std::uint8_t>> PasswordBytes(const std::optional<SecureBuffer>& password) {
  if (!password) return std::nullopt;
  return password->bytes();
}

// A job whose outcome is a private key.
class PrivateKeyJob : public PromiseJob {
 public:
  Status Work() final {
    auto key = MakeKey();
    if (!key) return key.error();
    key_ = std::make_shared<const RsaPrivateKey>(std::move(*key));
    return Status::Ok();
  }

  Napi::Value Resolve(Napi::Env env) final {
    return NewHandle(env, std::make_shared<PrivateKeyObject>(PrivateKeyObject{std::move(key_)}), kKeyBytes);
  }

 private:
  virtual Result<RsaPrivateKey> MakeKey() = 0;
  std::shared_ptr<const RsaPrivateKey> key_;
};

class GenerateJob final : public PrivateKeyJob {
 public:
  GenerateJob(int bits, bool background) : bits_(bits), background_(background) {}

  bool HoldsLoop() const override { return !background_; }

 private:
  Result<RsaPrivateKey> MakeKey() override { return RsaPrivateKey::Generate(bits_, cancellation()); }
  int bits_;
  bool background_;
};

class ImportJob final : public PrivateKeyJob {
 public:
  ImportJob(SecureBuffer pem, std::optional<SecureBuffer> password)
      : pem_(std::move(pem)), password_(std::move(password)) {}

 private:
  Result<RsaPrivateKey> MakeKey() override { return RsaPrivateKey::Import(pem_.bytes(), PasswordBytes(password_)); }
  SecureBuffer pem_;
  std::optional<SecureBuffer> password_;
};

class ExportJob final : public PromiseJob {
 public:
  ExportJob(std::shared_ptr<const RsaPrivateKey> key, std::optional<SecureBuffer> password)
      : key_(std::move(key)), password_(std::move(password)) {}

  Status Work() override {
    auto pem = key_->Export(PasswordBytes(password_));
    if (!pem) return pem.error();
    pem_ = std::move(*pem);
    return Status::Ok();
  }

  Napi::Value Resolve(Napi::Env env) override { return NewBufferHandle(env, std::move(pem_)); }

 private:
  std::shared_ptr<const RsaPrivateKey> key_;
  std::optional<SecureBuffer> password_;
  SecureBuffer pem_;
};

Napi::Value GeneratePrivateKey(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  if (!info[0].IsNumber()) {
    return ThrowTypeError(env, "expected the number of bits");
  }
  const auto locking = GetLocking(env, info[1]);
  if (!locking) return env.Undefined();
  bool background = false;
  if (!info[3].IsUndefined() && napi_get_value_bool(env, info[3], &background) != napi_ok) {
    return ThrowTypeError(env, "expected whether it is background work");
  }
  return Start(env, std::make_shared<GenerateJob>(info[0].As<Napi::Number>().Int32Value(), background), *locking,
               info[2]);
}

Napi::Value ImportPrivateKey(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  const auto locking = GetLocking(env, info[2]);
  if (!locking) return env.Undefined();
  LockingScope scope(*locking);
  auto pem = CopyBuffer(env, info[0]);
  std::optional<SecureBuffer> password;
  if (!pem || !GetPassword(env, info[1], password)) return env.Undefined();
  return Start(env, std::make_shared<ImportJob>(std::move(*pem), std::move(password)), *locking, info[3]);
}

Napi::Value ExportPrivateKey(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  const auto locking = GetLocking(env, info[2]);
  if (!locking) return env.Undefined();
  LockingScope scope(*locking);
  auto key = GetPrivateKey(env, info[0]);
  std::optional<SecureBuffer> password;
  if (!key || !GetPassword(env, info[1], password)) return env.Undefined();
  return Start(env, std::make_shared<ExportJob>(std::move(key), std::move(password)), *locking);
}

Napi::Value PrivateKeyPublic(const Napi::CallbackInfo& info) {
  auto key = GetPrivateKey(info.Env(), info[0]);
  if (!key) return info.Env().Undefined();
  // A public key is no secret: it must not fail for want of locked memory.
  LockingScope scope(Locking::kPublic);
  return NewPublicKey(info.Env(), key->PublicKey());
}

Napi::Value PrivateKeyDispose(const Napi::CallbackInfo& info) {
  auto object = GetHandle<PrivateKeyObject>(info.Env(), info[0]);
  if (object) object->key.reset();
  return info.Env().Undefined();
}

Napi::Value ImportPublicKey(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  if (!info[0].IsString() || !info[1].IsNumber() || !(info[2].IsUndefined() || info[2].IsNumber())) {
    return ThrowTypeError(env, "expected a PEM string and the least and the most bits");
  }
  const int most_bits = info[2].IsNumber() ? info[2].As<Napi::Number>().Int32Value() : kRsaMostPublicBits;
  LockingScope scope(Locking::kPublic);
  return NewPublicKey(env, RsaPublicKey::Import(info[0].As<Napi::String>().Utf8Value(),
                                                info[1].As<Napi::Number>().Int32Value(), most_bits));
}

// For a client that closes: the handle itself goes when the collector comes, and works on until then.
Napi::Value PublicKeyDropAhead(const Napi::CallbackInfo& info) {
  auto object = GetHandle<PublicKeyObject>(info.Env(), info[0]);
  if (object && object->parts) object->parts->wrapper.DropAhead();
  return info.Env().Undefined();
}

Napi::Value PublicKeyInfo(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  auto object = GetPublicKey(env, info[0]);
  if (!object) return env.Undefined();
  const RsaPublicKey& key = object->parts->key;
  Napi::Object facts = Napi::Object::New(env);
  facts.Set("bits", key.bits());
  facts.Set("spkiSha256", key.spki_sha256());
  facts.Set("pem", key.pem());
  return facts;
}

Napi::Value PublicKeyDispose(const Napi::CallbackInfo& info) {
  auto object = GetHandle<PublicKeyObject>(info.Env(), info[0]);
  if (object) object->parts.reset();
  return info.Env().Undefined();
}

}  // namespace

std::shared_ptr<PublicKeyObject> GetPublicKey(Napi::Env env, napi_value value) {
  auto object = GetHandle<PublicKeyObject>(env, value);
  if (!object || object->parts) return object;
  Throw(env, {Code::kDisposed, "The public key was disposed of."});
  return nullptr;
}

std::shared_ptr<const RsaPrivateKey> GetPrivateKey(Napi::Env env, napi_value value) {
  auto object = GetHandle<PrivateKeyObject>(env, value);
  if (!object) return nullptr;
  if (!object->key) Throw(env, {Code::kDisposed, "The private key was disposed of."});
  return object->key;
}

void InitCrypto(Napi::Env env, Napi::Object exports) {
  Export<GeneratePrivateKey>(env, exports, "generatePrivateKey");
  ExportSecret<ImportPrivateKey>(env, exports, "importPrivateKey");
  ExportSecret<ExportPrivateKey>(env, exports, "exportPrivateKey");
  ExportSecret<Prepared<PrivateKeyPublic>>(env, exports, "privateKeyPublic");
  Export<PrivateKeyDispose>(env, exports, "privateKeyDispose");
  Export<Prepared<ImportPublicKey>>(env, exports, "importPublicKey");
  Export<PublicKeyInfo>(env, exports, "publicKeyInfo");
  Export<PublicKeyDropAhead>(env, exports, "publicKeyDropAhead");
  Export<PublicKeyDispose>(env, exports, "publicKeyDispose");
}

}  // namespace nomyo::addon
