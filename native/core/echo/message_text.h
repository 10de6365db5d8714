// MessageText: the text of a chat message's `content`, read piece by piece where it stands. One thread at a time on an
// object; the functions, any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "core/echo/members.h"
#include "core/json/cursor.h"
#include "core/json/string.h"
#include "core/memory/secure_buffer.h"
#include "core/result.h"

namespace nomyo::echo {

// MessageText gives a text as UTF-16 code units: `before` (ASCII), then what `content` says. That is a string; or of a
// list the parts that have a text which is not empty, with a line feed between them; or nothing. A copy goes on by
// itself from where the original stood: so a text is read twice without being kept. No memory but its own.
class MessageText {
 public:
  MessageText(const Request& request, std::string_view before, std::span<const std::uint8_t> content);

  // Next writes up to out.size() (at least 4) code units and returns how many; 0 at the end.
  std::size_t Next(std::span<char16_t> out) noexcept;

 private:
  bool NextPart() noexcept;

  const Request* request_;
  std::string_view before_;
  std::optional<JsonCursor> list_;  // of a list: stands behind the last part
  std::optional<StringDecoder> part_;
  bool first_part_ = true;
};

// WholeText is a text's code units in the pool, for what cannot be done piece by piece.
struct WholeText {
  SecureBuffer memory;
  std::span<const char16_t> units;
};

// ReadWhole reads what `text` has still to give. Errors: kMemoryLock, kOutOfMemory.
Result<WholeText> ReadWhole(const MessageText& text);

// IsSpace returns whether a code unit is white space or a line end of ECMAScript, which String.prototype.trim takes
// away (ECMA-262 22.1.3.32).
bool IsSpace(char16_t unit) noexcept;

struct WordCount {
  std::size_t words = 0;  // `limit` at most
  bool cut = false;       // there are more words than that
  std::size_t units = 0;  // code units of the whole text, or to the end of the last word that is counted
};

// CountWords counts the words of what `text` has still to give: what stands between white space.
WordCount CountWords(MessageText text, std::size_t limit) noexcept;

}  // namespace nomyo::echo
