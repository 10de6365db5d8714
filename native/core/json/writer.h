// JsonWriter: writes JSON text into a TextSink, escaping strings exactly as JSON.stringify does (ECMA-262
// QuoteJSONString: \b \t \n \f \r \" \\, other control characters and lone surrogates as \u and lower-case hex, nothing
// else).
#pragma once

#include <cstdint>
#include <span>

#include "core/json/text_scan.h"
#include "core/json/text_sink.h"
#include "core/result.h"

namespace nomyo {

// Errors of all its functions: the sink's (kTooLarge, kMemoryLock, kOutOfMemory, kCrypto); StringUtf8 has one more.
// After an error a part may have been written, and nothing that is written later can make the text whole. One thread at
// a time.
class JsonWriter {
 public:
  explicit JsonWriter(TextSink& out) : out_(&out) {}

  // JSON text as V8 made it: it is only changed into UTF-8. Latin-1 or UTF-16; a character outside the BMP may be cut
  // between two calls.
  Status RawLatin1(std::span<const std::uint8_t> text);
  Status RawUtf16(std::span<const char16_t> text);

  // JSON text that is UTF-8 already: it is copied.
  Status RawUtf8(std::span<const std::uint8_t> text) { return out_->Append(text); }

  // The inside of a JSON string, without its quotes; a long one may come in several calls. EndString comes after the
  // last: a high surrogate is lone only when it is known what follows.
  Status StringLatin1(std::span<const std::uint8_t> text);
  Status StringUtf16(std::span<const char16_t> text);
  Status EndString();

  // The inside of a JSON string from UTF-8, in one call. kUtf8 unless it is well-formed: checked before anything is
  // written.
  Status StringUtf8(std::span<const std::uint8_t> text);

 private:
  using EscapeFunction = TextProgress (*)(std::span<const std::uint8_t>, std::span<std::uint8_t>) noexcept;
  Status Escaped(std::span<const std::uint8_t> text, EscapeFunction escape);
  Status CodeUnit(char16_t unit);

  TextSink* out_;
  char16_t high_surrogate_ = 0;  // waits for its low one
};

}  // namespace nomyo
