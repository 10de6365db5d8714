#include "core/echo/message_text.h"

#include <algorithm>
#include <utility>

namespace nomyo::echo {
namespace {

std::optional<StringDecoder> TextOf(const Request& request, std::span<const std::uint8_t> value) {
  if (!IsString(value)) return std::nullopt;
  const JsonString string = request.Walk(value).String();
  if (string.raw.empty()) return std::nullopt;
  return StringDecoder(string.raw);
}

}  // namespace

MessageText::MessageText(const Request& request, std::string_view before, std::span<const std::uint8_t> content)
    : request_(&request), before_(before) {
  if (IsList(content)) {
    list_ = request.Walk(content);
    list_->Peek();
    list_->Take();
  } else {
    part_ = TextOf(request, content);
  }
}

bool MessageText::NextPart() noexcept {
  while (list_ && list_->More(']')) {
    const auto part = list_->SkipValue();
    part_ = TextOf(*request_, Member(*request_, part, "text"));
    if (part_) return true;
  }
  list_.reset();
  return false;
}

std::size_t MessageText::Next(std::span<char16_t> out) noexcept {
  if (!before_.empty()) {
    const std::size_t count = std::min(before_.size(), out.size());
    std::copy_n(before_.begin(), count, out.begin());
    before_.remove_prefix(count);
    return count;
  }
  for (;;) {
    if (part_) {
      const std::size_t count = part_->Next(out);
      if (count != 0) return count;
      part_.reset();
      first_part_ = false;
    }
    if (!NextPart()) return 0;
    if (!first_part_) {
      out[0] = u'\n';
      return 1;
    }
  }
}

Result<WholeText> ReadWhole(const MessageText& text) {
  char16_t block[512];
  std::size_t length = 0;
  MessageText ahead = text;
  while (const std::size_t got = ahead.Next(block)) length += got;
  auto memory = SecureBuffer::Allocate(length * sizeof(char16_t));
  if (!memory) return memory.error();
  auto* const units = reinterpret_cast<char16_t*>(memory->data());
  MessageText source = text;
  std::size_t taken = 0;
  while (taken != length) {
    const std::size_t got = std::min(source.Next(block), length - taken);
    if (got == 0) break;
    std::copy_n(block, got, units + taken);
    taken += got;
  }
  return WholeText{std::move(*memory), {units, taken}};
}

bool IsSpace(char16_t unit) noexcept {
  if (unit < 0x80) return unit == u' ' || (unit >= u'\t' && unit <= u'\r');
  return unit == 0x00A0 || unit == 0x1680 || (unit >= 0x2000 && unit <= 0x200A) || unit == 0x2028 || unit == 0x2029 ||
         unit == 0x202F || unit == 0x205F || unit == 0x3000 || unit == 0xFEFF;
}

WordCount CountWords(MessageText text, std::size_t limit) noexcept {
  char16_t units[512];
  WordCount count;
  std::size_t at = 0;
  std::size_t end_of_word = 0;
  bool in_word = false;
  while (const std::size_t got = text.Next(units)) {
    for (std::size_t i = 0; i < got; ++i, ++at) {
      if (IsSpace(units[i])) {
        in_word = false;
        continue;
      }
      if (!in_word && count.words == limit) {
        count.cut = true;
        count.units = end_of_word;
        return count;
      }
      count.words += static_cast<std::size_t>(!in_word);
      in_word = true;
      end_of_word = at + 1;
    }
  }
  count.units = at;
  return count;
}

}  // namespace nomyo::echo
