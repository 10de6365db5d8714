// ComposeChatEvents: a whole chat completion, in the pool, as the server-sent events that a streaming server would have
// sent, in the pool too.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "core/cancellation.h"
#include "core/memory/secure_buffer.h"
#include "core/result.h"

namespace nomyo {

struct ChatEventsOptions {
  std::string_view metadata;   // the JSON that becomes `_metadata` of the last chunk; the answer's own is left out
  bool include_usage = false;  // a last chunk with the token counts
  std::size_t max_depth = 0;   // as CheckJson's
  std::size_t limit = 0;       // of the events' bytes: every chunk repeats what stands beside `choices`
};

// ComposeChatEvents returns the events of `answer`, the JSON of one chat completion, and `data: [DONE]`. They are those
// that lib/chat/chunks.ts makes of its value: for each choice one chunk with the role, one with all that the message
// says, one with the reason for its end. Values are copied as they stand, without the white space between them (a line
// break would end an event).
//
// Time is in proportion to what is read and written. Any thread; no other may change the bytes meanwhile (should one do
// it, nothing is written outside the buffer). Errors: kPlaintext, when the answer is not of that form, or has a name
// twice that is looked at here; the message is for the middle of a sentence, and holds nothing of the text. kTooLarge
// over `limit`, kCancelled, kMemoryLock, kOutOfMemory.
Result<SecureBuffer> ComposeChatEvents(std::span<const std::uint8_t> answer, const ChatEventsOptions& options,
                                       const Cancellation* cancellation = nullptr);

}  // namespace nomyo
