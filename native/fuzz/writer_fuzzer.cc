// JsonWriter, in pieces of any size, against QuoteJSONString of ECMA-262 written down here once more, plainly; and what
// was written, read again by StringDecoder and by another library. (What V8 itself writes is compared in
// test/unit/envelope/json-property.test.ts.)
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "core/json/string.h"
#include "core/json/writer.h"
#include "core/memory/locking.h"

namespace {

void Demand(bool holds) {
  if (!holds) std::abort();
}

class StringSink final : public nomyo::TextSink {
 public:
  explicit StringSink(nomyo::SecureBuffer block) : TextSink(std::move(block)) {}
  std::string Text() {
    Demand(static_cast<bool>(Drain()));
    return text_;
  }

 private:
  nomyo::Status Drain() override {
    text_.append(reinterpret_cast<const char*>(block_.data()), used_);
    used_ = 0;
    return nomyo::Status::Ok();
  }
  std::string text_;
};

void AppendUtf8(std::string& out, std::uint32_t point) {
  const auto add = [&](std::uint32_t byte) { out.push_back(static_cast<char>(byte)); };
  if (point < 0x80) {
    add(point);
  } else if (point < 0x800) {
    add(0xc0 | point >> 6), add(0x80 | (point & 63));
  } else if (point < 0x10000) {
    add(0xe0 | point >> 12), add(0x80 | (point >> 6 & 63)), add(0x80 | (point & 63));
  } else {
    add(0xf0 | point >> 18), add(0x80 | (point >> 12 & 63)), add(0x80 | (point >> 6 & 63)), add(0x80 | (point & 63));
  }
}

std::string Quoted(const std::vector<char16_t>& text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const std::uint32_t unit = text[i];
    const bool pair =
        unit >= 0xd800 && unit < 0xdc00 && i + 1 < text.size() && text[i + 1] >= 0xdc00 && text[i + 1] < 0xe000;
    constexpr char kShort[] = "\b\t\n\f\r\"\\";
    const char* found = unit != 0 && unit < 0x80 ? std::strchr(kShort, static_cast<int>(unit)) : nullptr;
    if (found != nullptr) {
      out += {'\\', "btnfr\"\\"[found - kShort]};
    } else if (pair) {
      AppendUtf8(out, 0x10000 + ((unit - 0xd800) << 10) + (text[++i] - std::uint32_t{0xdc00}));
    } else if (unit < 0x20 || (unit >= 0xd800 && unit < 0xe000)) {
      char escape[7];
      std::snprintf(escape, sizeof escape, "\\u%04x", unit);
      out += escape;
    } else {
      AppendUtf8(out, unit);
    }
  }
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const nomyo::LockingScope scope(nomyo::Locking::kPreferred);
  if (size < 2) return 0;
  const std::size_t piece = data[0] % 96 + 1;
  const bool wide = (data[1] & 1) != 0;
  const std::span<const std::uint8_t> bytes(data + 2, size - 2);
  std::vector<char16_t> units;
  if (wide) {
    for (std::size_t i = 0; i + 1 < bytes.size(); i += 2) {
      units.push_back(static_cast<char16_t>(bytes[i] << 8 | bytes[i + 1]));
    }
  } else {
    units.assign(bytes.begin(), bytes.end());
  }
  auto block = nomyo::SecureBuffer::Allocate(256);
  if (!block) return 0;
  StringSink sink(std::move(*block));
  nomyo::JsonWriter writer(sink);
  const std::size_t length = wide ? units.size() : bytes.size();
  for (std::size_t at = 0; at < length; at += piece) {
    const std::size_t count = std::min(piece, length - at);
    const nomyo::Status written =
        wide ? writer.StringUtf16(std::span(units).subspan(at, count)) : writer.StringLatin1(bytes.subspan(at, count));
    Demand(static_cast<bool>(written));
  }
  Demand(static_cast<bool>(writer.EndString()));
  const std::string text = sink.Text();
  Demand(text == Quoted(units));
  // Read again: the same code units.
  nomyo::StringDecoder decoder({reinterpret_cast<const std::uint8_t*>(text.data()), text.size()});
  std::vector<char16_t> again;
  char16_t some[7];
  for (std::size_t count; (count = decoder.Next(some)) != 0;) again.insert(again.end(), some, some + count);
  Demand(again == units);
  bool lone = false;
  for (const char16_t unit : units) lone = lone || (unit >= 0xd800 && unit < 0xe000);
  if (!lone) Demand(nlohmann::json::accept('"' + text + '"'));
  return 0;
}
