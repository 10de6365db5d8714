#include "addon/digest.h"

#include <array>
#include <cstring>
#include <memory>
#include <utility>

#include "addon/argument.h"
#include "addon/error.h"
#include "addon/function.h"
#include "addon/hex.h"
#include "addon/job.h"
#include "addon/secure_buffer_handle.h"
#include "addon/uint8_array.h"
#include "core/crypto/hmac_sha256.h"
#include "core/crypto/sha256.h"
#include "core/memory/bulk_memory.h"

namespace nomyo::addon {
namespace {

class Sha256Job final : public PromiseJob {
 public:
  Sha256Job(BulkMemory memory, std::size_t size) : memory_(std::move(memory)), size_(size) {}

  Status Work() override {
    auto digest = nomyo::Sha256({memory_.data(), size_});
    memory_ = {};
    if (!digest) return digest.error();
    digest_ = *digest;
    return Status::Ok();
  }

  Napi::Value Resolve(Napi::Env env) override { return HexValue(env, digest_); }

 private:
  BulkMemory memory_;  // a copy, since JavaScript can reach the original
  std::size_t size_;
  std::array<std::uint8_t, kSha256Bytes> digest_{};
};

Napi::Value Sha256Hex(const Napi::CallbackInfo& info) {
  const auto bytes = ReadUint8Array(info.Env(), info[0], "bytes");
  if (!bytes) return info.Env().Undefined();
  auto digest = nomyo::Sha256(*bytes);
  if (!digest) return Throw(info.Env(), digest.error());
  return HexValue(info.Env(), *digest);
}

Napi::Value Sha256Async(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  const auto bytes = ReadUint8Array(env, info[0], "bytes");
  if (!bytes) return env.Undefined();
  BulkMemory memory = BulkMemory::Allocate(bytes->size());
  if (!bytes->empty()) {
    if (memory.empty()) return Throw(env, {Code::kOutOfMemory, "No memory was left for the package."});
    std::memcpy(memory.data(), bytes->data(), bytes->size());
  }
  // A package is ciphertext: nothing of this job needs to be locked.
  return Start(env, std::make_shared<Sha256Job>(std::move(memory), bytes->size()), Locking::kPublic);
}

Napi::Value HmacOfBuffer(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  const auto locking = GetLocking(env, info[2]);
  if (!locking) return env.Undefined();
  const auto key = GetBuffer(env, info[0]);
  if (!key) return env.Undefined();
  const auto data = GetBuffer(env, info[1]);
  if (!data) return env.Undefined();
  LockingScope scope(*locking);
  auto hmac = HmacSha256::Start(std::as_const(*key).bytes());
  if (!hmac) return Throw(env, hmac.error());
  if (const Status status = hmac->Update(std::as_const(*data).bytes()); !status) return Throw(env, status.error());
  auto digest = hmac->Finish();
  if (!digest) return Throw(env, digest.error());
  return HexValue(env, *digest);
}

}  // namespace

void InitDigest(Napi::Env env, Napi::Object exports) {
  Export<Prepared<Sha256Hex>>(env, exports, "sha256");
  Export<Prepared<Sha256Async>>(env, exports, "sha256Async");
  ExportSecret<Prepared<HmacOfBuffer>>(env, exports, "hmacSha256");
}

}  // namespace nomyo::addon
