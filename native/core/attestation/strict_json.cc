#include "core/attestation/strict_json.h"

#include <cstdint>
#include <new>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "core/json/check.h"
#include "core/json/cursor.h"
#include "core/json/string.h"

namespace nomyo {
namespace {

using nlohmann::json;

// Builder receives the parser's events. The library's own tree builder keeps the last of two equal keys; this one
// stops.
class Builder final : public nlohmann::json_sax<json> {
 public:
  explicit Builder(std::size_t max_depth) : max_depth_(max_depth) {}

  bool null() override { return Put(nullptr); }
  bool boolean(bool value) override { return Put(value); }
  bool number_integer(number_integer_t value) override { return Put(value); }
  bool number_unsigned(number_unsigned_t value) override { return Put(value); }
  bool number_float(number_float_t value, const string_t&) override { return Put(value); }
  bool string(string_t& value) override { return Put(std::move(value)); }
  bool binary(binary_t&) override { return Stop("is not JSON"); }
  bool start_object(std::size_t) override { return Open(json::object()); }
  bool start_array(std::size_t) override { return Open(json::array()); }
  bool end_object() override { return Close(); }
  bool end_array() override { return Close(); }

  bool key(string_t& name) override {
    if (open_.back()->contains(name)) return Stop("has a key twice in one object");
    key_ = std::move(name);
    return true;
  }

  bool parse_error(std::size_t, const std::string&, const nlohmann::detail::exception&) override {
    return Stop("is not JSON");
  }

  JsonTree tree;
  const char* fault = nullptr;

 private:
  bool Stop(const char* why) {
    fault = why;
    return false;
  }

  json* Insert(json value) {
    if (open_.empty()) {
      tree.root = std::move(value);
      return &tree.root;
    }
    json& parent = *open_.back();
    if (parent.is_object()) return &(parent[key_] = std::move(value));
    parent.push_back(std::move(value));
    return &parent.back();
  }

  bool Put(json value) {
    Insert(std::move(value));
    return true;
  }

  bool Open(json container) {
    if (open_.size() == max_depth_) return Stop("is nested too deeply");
    open_.push_back(Insert(std::move(container)));
    return true;
  }

  bool Close() {
    open_.pop_back();
    return true;
  }

  std::size_t max_depth_;
  // Containers that are not closed yet. A parent grows only after its child is closed, so no pointer here dangles.
  std::vector<json*> open_;
  std::string key_;
};

std::string_view View(std::span<const std::uint8_t> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// Walker tells `builder` of a text that CheckJson has accepted. It gives up where the library decides (numbers, whose
// kinds and limits are its own), and where a string is not Unicode.
class Walker {
 public:
  Walker(JsonCursor cursor, Builder& builder) : cursor_(cursor), builder_(builder) {}

  bool Value() {
    switch (cursor_.Peek()) {
      case '{': return Container('}');
      case '[': return Container(']');
      case '"': return Text() && builder_.string(text_);
      case 't': cursor_.Word(4); return builder_.boolean(true);
      case 'f': cursor_.Word(5); return builder_.boolean(false);
      case 'n': cursor_.Word(4); return builder_.null();
      default: return false;
    }
  }

 private:
  // Calls itself no deeper than CheckJson's limit.
  bool Container(std::uint8_t closing) {
    const bool is_object = closing == '}';
    if (!(is_object ? builder_.start_object(0) : builder_.start_array(0))) return false;
    cursor_.Take();
    while (cursor_.More(closing)) {
      if (is_object) {
        if (!Text() || !builder_.key(text_)) return false;
        cursor_.Peek();
        cursor_.Take();  // the colon
      }
      if (!Value()) return false;
    }
    return is_object ? builder_.end_object() : builder_.end_array();
  }

  bool Text() {
    cursor_.Peek();
    const JsonString string = cursor_.String();
    text_.assign(View(string.raw));
    if (!string.escaped) return true;
    bool lone = false;
    text_.resize(DecodeUtf8(string.raw, reinterpret_cast<std::uint8_t*>(text_.data()), &lone));
    return !lone;
  }

  JsonCursor cursor_;
  Builder& builder_;
  std::string text_;
};

// ReadQuickly reads what is good, and usual; nothing otherwise. The library takes three times as long, a character at a
// time; who is refused, and with which words, is its decision alone.
std::optional<JsonTree> ReadQuickly(std::string_view text, std::size_t max_depth) {
  const std::span<const std::uint8_t> bytes(reinterpret_cast<const std::uint8_t*>(text.data()), text.size());
  const Result<JsonFacts> facts = CheckJson(bytes, max_depth);
  if (!facts) {
    if (facts.error().code == Code::kOutOfMemory) throw std::bad_alloc();  // as the library does
    return std::nullopt;
  }
  Builder builder(max_depth);
  if (!Walker(JsonCursor(bytes, facts.value().long_strings), builder).Value()) return std::nullopt;
  return std::move(builder.tree);
}

// Empties a tree so that the library's destructor finds empty containers only. Calls itself no deeper than ReadJson's
// limit. An iterator of a container that is not one would throw: that ends the process, as it should.
// NOLINTNEXTLINE(bugprone-exception-escape)
void Clear(json& value) noexcept {
  if (!value.is_structured()) return;
  for (json& child : value) Clear(child);
  value.clear();
}

}  // namespace

JsonTree::~JsonTree() {
  Clear(root);
}

Result<JsonTree> ReadJson(std::string_view text, std::size_t max_bytes, std::size_t max_depth) {
  if (text.size() > max_bytes) {
    return Error{Code::kTooLarge, "has more than " + std::to_string(max_bytes) + " bytes"};
  }
  // The library skips a byte order mark.
  if (text.starts_with("\xEF\xBB\xBF")) return Error{Code::kInvalidArgument, "starts with a byte order mark"};
  if (auto read = ReadQuickly(text, max_depth)) return *std::move(read);
  Builder builder(max_depth);
  if (!json::sax_parse(text.begin(), text.end(), &builder) || builder.fault != nullptr) {
    return Error{Code::kInvalidArgument, builder.fault != nullptr ? builder.fault : "is not JSON"};
  }
  return std::move(builder.tree);
}

}  // namespace nomyo
