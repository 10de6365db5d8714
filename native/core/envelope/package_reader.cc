#include "core/envelope/package_reader.h"

#include <set>
#include <utility>

#include "core/envelope/json_check.h"
#include "core/envelope/json_cursor.h"
#include "core/envelope/json_string.h"
#include "core/envelope/package_format.h"

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

class Reader {
 public:
  Reader(std::span<const std::uint8_t> package, std::span<const JsonString> long_strings)
      : cursor_(package, long_strings) {}

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
  // Walks an object's members; `field` reads the value of a name, or skips it.
  template <class Field>
  Status Object(Field field) {
    std::set<std::string_view> names;
    cursor_.Peek();
    cursor_.Take();
    while (cursor_.Peek() != '}') {
      if (cursor_.Peek() == ',') {
        cursor_.Take();
        cursor_.Peek();
      }
      const std::string_view name = Text(cursor_.String());
      if (!names.insert(name).second) return BadFormat("The package has a field twice.");
      cursor_.Peek();
      cursor_.Take();
      Status status = field(name);
      if (!status) return status;
    }
    cursor_.Take();
    return Status::Ok();
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
    if (cursor_.Peek() != '"') return BadFormat("A field of the package is not a string.");
    field = Text(cursor_.String());
    return Status::Ok();
  }

  Status NumberField() {
    const std::uint8_t first = cursor_.Peek();
    if (first != '-' && (first < '0' || first > '9')) return BadFormat("The package's processed_at is not a number.");
    fields_.processed_at = ParseNumber(cursor_.Number());
    return Status::Ok();
  }

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
};

}  // namespace

Result<PackageFields> ReadPackage(std::span<const std::uint8_t> package) {
  auto facts = CheckJson(package, kMaxDepth);
  if (!facts) {
    if (facts.error().code != Code::kPlaintext) return facts.error();
    return BadFormat("The answer is not an encrypted package: it is not a JSON object in UTF-8.");
  }
  return Reader(package, facts->long_strings).Run();
}

}  // namespace nomyo
