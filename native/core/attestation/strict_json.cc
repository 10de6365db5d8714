#include "core/attestation/strict_json.h"

#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

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

  json root;
  const char* fault = nullptr;

 private:
  bool Stop(const char* why) {
    fault = why;
    return false;
  }

  json* Insert(json value) {
    if (open_.empty()) {
      root = std::move(value);
      return &root;
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

}  // namespace

Result<json> ReadJson(std::string_view text, std::size_t max_bytes, std::size_t max_depth) {
  if (text.size() > max_bytes) {
    return Error{Code::kTooLarge, "has more than " + std::to_string(max_bytes) + " bytes"};
  }
  // The library skips a byte order mark.
  if (text.starts_with("\xEF\xBB\xBF")) return Error{Code::kInvalidArgument, "starts with a byte order mark"};
  Builder builder(max_depth);
  if (!json::sax_parse(text.begin(), text.end(), &builder) || builder.fault != nullptr) {
    return Error{Code::kInvalidArgument, builder.fault != nullptr ? builder.fault : "is not JSON"};
  }
  return std::move(builder.root);
}

}  // namespace nomyo
