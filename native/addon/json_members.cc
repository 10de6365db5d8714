#include "addon/json_members.h"

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "addon/argument.h"
#include "addon/error.h"
#include "addon/function.h"
#include "addon/job.h"
#include "addon/property.h"
#include "addon/secure_buffer_handle.h"
#include "core/json/members.h"

namespace nomyo::addon {
namespace {

class ScanJob final : public PromiseJob {
 public:
  ScanJob(std::shared_ptr<SecureBuffer> text, std::size_t length, MemberScan scan)
      : text_(std::move(text)), length_(length), scan_(std::move(scan)) {}

  Status Work() override {
    auto scanned = ScanMembers(text_->bytes().first(length_), scan_, cancellation());
    if (!scanned) return scanned.error();
    scanned_ = std::move(*scanned);
    return Status::Ok();
  }

  Napi::Value Resolve(Napi::Env env) override {
    const auto number = [env](std::size_t value) { return Napi::Number::New(env, static_cast<double>(value)); };
    Napi::Array found = Napi::Array::New(env, scanned_.found.size());
    for (std::uint32_t i = 0; i < scanned_.found.size(); ++i) {
      const auto& value = scanned_.found[i];
      if (!value) {
        found.Set(i, env.Null());
        continue;
      }
      Napi::Object place = Napi::Object::New(env);
      place.Set("begin", number(value->begin));
      place.Set("end", number(value->end));
      found.Set(i, place);
    }
    Napi::Object result = Napi::Object::New(env);
    result.Set("found", found);
    result.Set("left", number(scanned_.left));
    result.Set("close", number(scanned_.close));
    return result;
  }

 private:
  // Not a copy: an answer may have 47 MiB, and is edited in place. No view is out when the job starts, and should
  // JavaScript take one meanwhile, ScanMembers bears a writer.
  std::shared_ptr<SecureBuffer> text_;
  std::size_t length_;
  MemberScan scan_;
  ScannedMembers scanned_;
};

std::optional<std::vector<std::string>> ReadNames(Napi::Env env, const std::optional<Napi::Value>& value) {
  if (!value || !value->IsArray()) return std::nullopt;
  const std::uint32_t count = value->As<Napi::Array>().Length();
  std::vector<std::string> names;
  for (std::uint32_t i = 0; i < count; ++i) {
    const auto name = GetElement(env, *value, i);
    if (!name || !name->IsString()) return std::nullopt;
    names.push_back(name->As<Napi::String>().Utf8Value());
  }
  return names;
}

Napi::Value ScanObject(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  if (!info[2].IsObject()) return ThrowTypeError(env, "expected what to scan for");
  const Napi::Value given = info[2];
  auto find = ReadNames(env, GetProperty(env, given, "find"));
  if (!find) return ThrowTypeError(env, "expected what to scan for");
  auto blank = ReadNames(env, GetProperty(env, given, "blank"));
  if (!blank) return ThrowTypeError(env, "expected what to scan for");
  const auto folded = GetProperty(env, given, "refuseFolded");
  if (!folded || !folded->IsBoolean()) return ThrowTypeError(env, "expected what to scan for");
  const auto most_depth = GetWholeProperty(env, given, "maxDepth", 1, kMostDepth, "expected a depth limit");
  if (!most_depth) return env.Undefined();
  const auto locking = GetLocking(env, info[3]);
  if (!locking) return env.Undefined();
  auto text = GetUnviewedBuffer(env, info[0]);
  if (!text) return env.Undefined();
  const auto length = GetWhole(env, info[1], 0, text->size(), "expected a length in the buffer");
  if (!length) return env.Undefined();
  MemberScan scan{.find = std::move(*find),
                  .blank = std::move(*blank),
                  .refuse_folded = folded->As<Napi::Boolean>().Value(),
                  .max_depth = *most_depth};
  return Start(env, std::make_shared<ScanJob>(std::move(text), *length, std::move(scan)), *locking, info[4]);
}

}  // namespace

void InitJsonMembers(Napi::Env env, Napi::Object exports) {
  Export<ScanObject>(env, exports, "scanObject");
}

}  // namespace nomyo::addon
