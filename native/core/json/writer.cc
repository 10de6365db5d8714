#include "core/json/writer.h"

#include <algorithm>

#include "core/json/text_scan.h"
#include "core/json/utf8.h"
#include "core/memory/secure_text.h"

namespace nomyo {
namespace {

bool MustEscape(std::uint32_t c) {
  return c < 0x20 || c == '"' || c == '\\';
}

}  // namespace

Status JsonWriter::StringLatin1(std::span<const std::uint8_t> text) {
  return Escaped(text, EscapeLatin1);
}

Status JsonWriter::StringUtf8(std::span<const std::uint8_t> text) {
  if (!IsUtf8(text.subspan(AsciiPrefix(text)))) {
    return Error{Code::kUtf8, "A SecureBuffer in the request does not hold UTF-8."};
  }
  return Escaped(text, EscapeUtf8);
}

Status JsonWriter::Escaped(std::span<const std::uint8_t> text, EscapeFunction escape) {
  while (!text.empty()) {
    auto room = out_->Room();
    if (!room) return room.error();
    const TextProgress progress = escape(text, *room);
    out_->Wrote(progress.written);
    text = text.subspan(progress.taken);
  }
  return Status::Ok();
}

Status JsonWriter::StringUtf16(std::span<const char16_t> text) {
  // `while`: the first unit may be a high surrogate itself, and wait in its turn.
  while (high_surrogate_ != 0 && !text.empty()) {
    Status status = CodeUnit(text[0]);
    if (!status) return status;
    text = text.subspan(1);
  }
  while (!text.empty()) {
    auto room = out_->Room();
    if (!room) return room.error();
    std::uint8_t* to = room->data();
    const std::uint8_t* const stop = to + room->size() - kMostEscaped;
    std::size_t taken = 0;
    bool cut = false;
    while (taken < text.size() && to < stop && !cut) {
      const auto fits = std::min(text.size() - taken, static_cast<std::size_t>(stop - to));
      const std::size_t plain = CopyAsciiUnits(text.subspan(taken, fits), to);
      taken += plain;
      to += plain;
      while (taken < text.size() && to < stop) {
        const std::uint32_t c = text[taken];
        if (c < 0x80) {
          if (!MustEscape(c)) break;
          to = PutEscape(to, c);
        } else if (c < 0xD800 || c > 0xDFFF) {
          to = PutUtf8(to, c);
        } else if (c >= 0xDC00) {  // NOLINT(bugprone-branch-clone): a second half without a first
          to = PutUnicodeEscape(to, c);
        } else if (taken + 1 == text.size()) {
          high_surrogate_ = static_cast<char16_t>(c);
          ++taken;
          cut = true;
          break;
        } else if (const std::uint32_t low = text[taken + 1]; low >= 0xDC00 && low <= 0xDFFF) {
          to = PutUtf8(to, 0x10000 + ((c - 0xD800) << 10) + (low - 0xDC00));
          ++taken;
        } else {
          to = PutUnicodeEscape(to, c);
        }
        ++taken;
      }
    }
    out_->Wrote(static_cast<std::size_t>(to - room->data()));
    text = text.subspan(taken);
  }
  return Status::Ok();
}

// The first code unit after a high surrogate that ended the former piece.
Status JsonWriter::CodeUnit(char16_t unit) {
  const std::uint32_t high = high_surrogate_;
  if (unit >= 0xDC00 && unit <= 0xDFFF) {
    high_surrogate_ = 0;
    auto room = out_->Room();
    if (!room) return room.error();
    std::uint8_t* const end = PutUtf8(room->data(), 0x10000 + ((high - 0xD800) << 10) + (unit - 0xDC00u));
    out_->Wrote(static_cast<std::size_t>(end - room->data()));
    return Status::Ok();
  }
  Status status = EndString();
  if (!status) return status;
  return StringUtf16({&unit, 1});
}

Status JsonWriter::EndString() {
  if (high_surrogate_ == 0) return Status::Ok();
  auto room = out_->Room();
  if (!room) return room.error();
  std::uint8_t* const end = PutUnicodeEscape(room->data(), high_surrogate_);
  high_surrogate_ = 0;
  out_->Wrote(static_cast<std::size_t>(end - room->data()));
  return Status::Ok();
}

// JSON.stringify's own text holds no control character, and its quotes and backslashes are syntax: so text is ASCII
// that is copied, or a character that becomes UTF-8. Well-formed JSON.stringify leaves no lone surrogate either.
Status JsonWriter::RawLatin1(std::span<const std::uint8_t> text) {
  while (!text.empty()) {
    const std::size_t ascii = AsciiPrefix(text);
    Status status = out_->Append(text.first(ascii));
    if (!status) return status;
    text = text.subspan(ascii);
    while (!text.empty() && text[0] >= 0x80) {
      auto room = out_->Room();
      if (!room) return room.error();
      out_->Wrote(static_cast<std::size_t>(PutUtf8(room->data(), text[0]) - room->data()));
      text = text.subspan(1);
    }
  }
  return Status::Ok();
}

Status JsonWriter::RawUtf16(std::span<const char16_t> text) {
  while (!text.empty()) {
    auto room = out_->Room();
    if (!room) return room.error();
    std::uint8_t* to = room->data();
    const std::uint8_t* const stop = to + room->size() - kMostEscaped;
    std::size_t taken = 0;
    for (; taken < text.size() && to < stop; ++taken) {
      const std::uint32_t c = text[taken];
      if (c >= 0xD800 && c <= 0xDBFF) {
        high_surrogate_ = static_cast<char16_t>(c);
      } else if (c >= 0xDC00 && c <= 0xDFFF) {
        to = PutUtf8(to, 0x10000 + ((high_surrogate_ - 0xD800u) << 10) + (c - 0xDC00));
        high_surrogate_ = 0;
      } else {
        to = PutUtf8(to, c);
      }
    }
    out_->Wrote(static_cast<std::size_t>(to - room->data()));
    text = text.subspan(taken);
  }
  return Status::Ok();
}

}  // namespace nomyo
