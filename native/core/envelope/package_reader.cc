#include "core/envelope/package_reader.h"

#include <array>
#include <utility>

#include "core/envelope/package_format.h"
#include "core/json/check.h"
#include "core/json/cursor.h"
#include "core/json/string.h"

namespace nomyo {
namespace {

// The protocol nests two objects; fields that we do not know may hold more.
constexpr std::size_t kMaxDepth = 32;

Error BadFormat(const char* message) {
  return {Code::kPackageFormat, message};
}

std::string_view View(std::span<const std::uint8_t> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// The longest name of a field that we know, each of its characters escaped.
constexpr std::size_t kMostNameBytes = 6 * std::string_view("encrypted_payload").size();

class Reader {
 public:
  Reader(std::span<const std::uint8_t> package, std::span<const JsonString> long_strings,
         const Cancellation* cancellation)
      : cursor_(package, long_strings, cancellation) {}

  Result<PackageFields> Run() {
    Status status = Object([this](std::string_view name) { return TopField(name); });
    if (!status) return status.error();
    if (!version_ || !algorithm_ || !payload_ || !ciphertext_ || !nonce_ || !tag_ || !key_) {
      return BadFormat("The answer is not an encrypted package: a required field is missing.");
    }
    namespace format = package_format;
    if (*version_ != format::kVersion || *algorithm_ != format::kAlgorithm ||
        (key_algorithm_ && *key_algorithm_ != format::kKeyAlgorithm) ||
        (payload_algorithm_ && *payload_algorithm_ != format::kPayloadAlgorithm)) {
      return Error{Code::kPackageAlgorithm,
                   "The package's version or an algorithm in it is not one that this client speaks."};
    }
    fields_.ciphertext = *ciphertext_;
    fields_.nonce = *nonce_;
    fields_.tag = *tag_;
    fields_.encrypted_aes_key = *key_;
    return std::move(fields_);
  }

 private:
  // Walks an object's members; `field` reads the value of a name, or skips it. Only fields that we know are remembered:
  // a sender can put millions of others in, which must cost no more than it takes to pass them.
  template <class Field>
  Status Object(Field field) {
    cursor_.Peek();
    cursor_.Take();
    while (cursor_.More('}')) {
      cursor_.Peek();
      const JsonString name = cursor_.String();
      cursor_.Peek();
      cursor_.Take();
      Status status = field(Name(name));
      if (!status) return status;
    }
    return Status::Ok();
  }

  // The name that is written so; or none, when it is too long to be one that we know. Valid until the next call.
  std::string_view Name(const JsonString& string) {
    if (!string.escaped) return View(string.raw);
    if (string.raw.size() > name_.size()) return {};
    bool lone = false;
    return {reinterpret_cast<const char*>(name_.data()), DecodeUtf8(string.raw, name_.data(), &lone)};
  }

  Status TopField(std::string_view name) {
    if (name == "version") return StringField(version_);
    if (name == "algorithm") return StringField(algorithm_);
    if (name == "encrypted_aes_key") return StringField(key_);
    if (name == "key_algorithm") return StringField(key_algorithm_);
    if (name == "payload_algorithm") return StringField(payload_algorithm_);
    if (name == "processed_at") return NumberField();
    if (name == "encrypted_payload") {
      if (cursor_.Peek() != '{') return BadFormat("The package's encrypted_payload is not an object.");
      if (payload_) return Twice();
      payload_ = true;
      return Object([this](std::string_view inner) { return PayloadField(inner); });
    }
    cursor_.SkipValue();
    return Status::Ok();
  }

  Status PayloadField(std::string_view name) {
    if (name == "ciphertext") return StringField(ciphertext_);
    if (name == "nonce") return StringField(nonce_);
    if (name == "tag") return StringField(tag_);
    cursor_.SkipValue();
    return Status::Ok();
  }

  Status StringField(std::optional<std::string_view>& field) {
    if (field) return Twice();
    if (cursor_.Peek() != '"') return BadFormat("A field of the package is not a string.");
    field = Text(cursor_.String());
    return Status::Ok();
  }

  Status NumberField() {
    if (fields_.processed_at) return Twice();
    const std::uint8_t first = cursor_.Peek();
    if (first != '-' && (first < '0' || first > '9')) return BadFormat("The package's processed_at is not a number.");
    fields_.processed_at = ParseNumber(cursor_.Number());
    return Status::Ok();
  }

  static Status Twice() { return BadFormat("The package has a field twice."); }

  std::string_view Text(const JsonString& string) {
    if (!string.escaped) return View(string.raw);
    std::string& text = fields_.unescaped.emplace_back(string.raw.size(), '\0');
    bool lone = false;
    text.resize(DecodeUtf8(string.raw, reinterpret_cast<std::uint8_t*>(text.data()), &lone));
    return text;
  }

  JsonCursor cursor_;
  PackageFields fields_;
  std::optional<std::string_view> version_, algorithm_, ciphertext_, nonce_, tag_, key_, key_algorithm_,
      payload_algorithm_;
  bool payload_ = false;
  std::array<std::uint8_t, kMostNameBytes> name_;
};

}  // namespace

Result<PackageFields> ReadPackage(std::span<const std::uint8_t> package, const Cancellation* cancellation) {
  auto facts = CheckJson(package, kMaxDepth, cancellation);
  if (!facts) {
    if (facts.error().code != Code::kPlaintext) return facts.error();
    return BadFormat("The answer is not an encrypted package: it is not a JSON object in UTF-8.");
  }
  auto fields = Reader(package, facts->long_strings, cancellation).Run();
  // A cancelled walk ends early, and knows nothing of what it has not seen.
  if (IsCancelled(cancellation)) return Error{Code::kCancelled, "The work was cancelled."};
  return fields;
}

}  // namespace nomyo
