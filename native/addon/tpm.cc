#include "addon/tpm.h"

#include <map>
#include <mutex>
#include <new>
#include <optional>
#include <utility>

#include "addon/argument.h"
#include "addon/error.h"
#include "addon/function.h"
#include "addon/handle.h"
#include "addon/property.h"
#include "addon/uint8_array.h"
#include "core/json/base64.h"
#include "core/tpm/hash_algorithm.h"
#include "core/tpm/quote.h"
#include "core/tpm/tss_esys.h"
#include "core/tpm/tss_mu.h"

namespace nomyo::addon {

template <>
struct HandleTag<TpmDevice> {
  static constexpr napi_type_tag value = {0x1f6ab83c70d94e52, 0xa2e07d5b91c3486f};
  static constexpr const char* name = "a TPM handle";
};

namespace {

std::string ToBase64(const std::vector<std::uint8_t>& bytes) {
  std::string text(Base64EncodedSize(bytes.size()), '\0');
  Base64Encode(bytes, text.data());
  return text;
}

// Opening is a job that does nothing: before it, the device connects and asks for a sign of life.
class OpenJob final : public TpmJob {
 public:
  explicit OpenJob(std::shared_ptr<TpmDevice> device) : device_(std::move(device)) {}
  Status Work(TpmConnection&) override { return Status::Ok(); }
  Napi::Value Resolve(Napi::Env env) override { return NewHandle(env, std::move(device_)); }

 private:
  std::shared_ptr<TpmDevice> device_;
};

class QuoteJob final : public TpmJob {
 public:
  QuoteJob(std::vector<std::uint8_t> qualifying_data, QuoteRequest request)
      : qualifying_data_(std::move(qualifying_data)), request_(std::move(request)) {}

  Status Work(TpmConnection& tpm) override {
    auto made = MakeQuote(tpm, qualifying_data_, request_);
    if (!made) return made.error();
    quote_ = std::move(made).value();
    return Status::Ok();
  }

  Napi::Value Resolve(Napi::Env env) override {
    Napi::Object values = Napi::Object::New(env);
    // Kept here, not read back: what a prototype has under a bank's name is no bank of ours.
    std::map<std::string, Napi::Object> banks;
    for (const QuotedPcr& pcr : quote_.pcrs) {
      const auto [bank, first] = banks.try_emplace(pcr.bank);
      if (first) {
        bank->second = Napi::Object::New(env);
        values.Set(pcr.bank, bank->second);
      }
      bank->second.Set(std::to_string(pcr.index), ToHex(pcr.value));
    }
    Napi::Object block = Napi::Object::New(env);
    block.Set("is_available", true);
    block.Set("pcr_banks", quote_.pcr_banks);
    block.Set("pcr_values", values);
    block.Set("quote_b64", ToBase64(quote_.attest));
    block.Set("signature_b64", ToBase64(quote_.signature));
    block.Set("aik_pubkey_b64", ToBase64(quote_.aik_public));
    return block;
  }

 private:
  std::vector<std::uint8_t> qualifying_data_;
  QuoteRequest request_;
  Quote quote_;
};

// ReadQuoteOptions reads QuoteOptions of lib/native.ts; otherwise a TypeError is pending.
std::optional<QuoteRequest> ReadQuoteOptions(Napi::Env env, const Napi::Value& given) {
  QuoteRequest request;
  if (!given.IsObject()) {
    ThrowTypeError(env, "options must be an object");
    return std::nullopt;
  }
  const auto aik = GetProperty(env, given, "aik");
  if (!aik) return std::nullopt;
  const auto pcrs = GetProperty(env, given, "pcrs");
  if (!pcrs) return std::nullopt;
  const auto handle = GetProperty(env, given, "persistentHandle");
  if (!handle) return std::nullopt;
  if (!aik->IsUndefined()) {
    const std::string name = aik->IsString() ? aik->As<Napi::String>().Utf8Value() : "";
    if (name == "ecc-p256") {
      request.aik = AikAlgorithm::kEccP256;
    } else if (name == "rsa2048-rsassa") {
      request.aik = AikAlgorithm::kRsa2048Rsassa;
    } else if (name == "rsa2048-rsapss") {
      request.aik = AikAlgorithm::kRsa2048Rsapss;
    } else {
      ThrowTypeError(env, "options.aik must be 'ecc-p256', 'rsa2048-rsassa' or 'rsa2048-rsapss'");
      return std::nullopt;
    }
  }
  if (!pcrs->IsUndefined()) {
    if (!pcrs->IsString()) {
      ThrowTypeError(env, "options.pcrs must be a string");
      return std::nullopt;
    }
    request.pcrs = pcrs->As<Napi::String>().Utf8Value();
  }
  if (!handle->IsUndefined()) {
    const auto number = GetWhole(env, *handle, 0, 0xffffffff, "options.persistentHandle must be a 32-bit number");
    if (!number) return std::nullopt;
    request.persistent_handle = static_cast<std::uint32_t>(*number);
  }
  return request;
}

Napi::Value TpmOpen(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  if (!info[0].IsString()) return ThrowTypeError(env, "tcti must be a string");
  auto device = TpmDevice::Start(info[0].As<Napi::String>().Utf8Value(), {});
  if (!device) return Throw(env, device.error());
  return StartOnTpm(env, device.value(), std::make_shared<OpenJob>(device.value()));
}

Napi::Value TpmQuote(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  // First the options: reading them may run JavaScript.
  auto request = ReadQuoteOptions(env, info[2]);
  if (!request) return env.Undefined();
  const auto bytes = ReadUint8Array(env, info[1], "qualifyingData");
  if (!bytes) return env.Undefined();
  auto device = GetHandle<TpmDevice>(env, info[0]);
  if (!device) return env.Undefined();
  std::vector<std::uint8_t> data(bytes->begin(), bytes->end());
  return StartOnTpm(env, std::move(device), std::make_shared<QuoteJob>(std::move(data), std::move(*request)));
}

Napi::Value TpmClose(const Napi::CallbackInfo& info) {
  if (auto device = GetHandle<TpmDevice>(info.Env(), info[0])) device->Close();
  return info.Env().Undefined();
}

Napi::Value TssInfo(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Napi::Object result = Napi::Object::New(env);
  const auto mu = TssMu::Load();
  const auto esys = TssEsys::Load();
  if (mu) result.Set("mu", mu.value()->path);
  if (esys) result.Set("esys", esys.value()->path());
  result.Set("available", mu.ok() && esys.ok());
  result.Set("detail", !mu     ? mu.error().message
                       : !esys ? "Quotes can be verified, but no TPM can be talked to. " + esys.error().message
                               : "tpm2-tss is installed.");
  return result;
}

}  // namespace

Napi::Value StartOnTpm(Napi::Env env, std::shared_ptr<TpmDevice> device, std::shared_ptr<TpmJob> job) {
  const auto settlement = Settlement::Begin(env, job);
  if (settlement == nullptr) return env.Undefined();
  // From here on the promise is settled, whatever happens.
  Status status = Status::Ok();
  try {
    TpmDevice& queue = *device;
    status = queue.Submit(
        [job = std::move(job)](TpmConnection& tpm) { return job->Work(tpm); },
        [settlement, device = std::move(device)](Status outcome) noexcept { settlement->Finish(std::move(outcome)); });
  } catch (const std::bad_alloc&) {
    status = OutOfMemory();
  }
  const Napi::Value promise = settlement->promise(env);
  if (!status) settlement->Refuse(env, std::move(status));
  return promise;
}

Result<std::shared_ptr<TpmDevice>> SharedTpm(const std::string& tcti) {
  static std::mutex mutex;
  static auto& devices = *new std::map<std::string, std::weak_ptr<TpmDevice>>;
  std::lock_guard lock(mutex);
  if (auto shared = devices[tcti].lock()) return shared;
  auto started = TpmDevice::Start(tcti, {});
  std::erase_if(devices, [](const auto& entry) { return entry.second.expired(); });
  if (!started) return started.error();
  devices[tcti] = started.value();
  return started.value();
}

void InitTpm(Napi::Env env, Napi::Object exports) {
  Export<TpmOpen>(env, exports, "tpmOpen");
  Export<TpmQuote>(env, exports, "tpmQuote");
  Export<TpmClose>(env, exports, "tpmClose");
  Export<TssInfo>(env, exports, "tssInfo");
}

}  // namespace nomyo::addon
