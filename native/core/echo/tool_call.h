// ToolCall: the tool that the echo model calls, and with what. Any thread.
#pragma once

#include <cstddef>
#include <span>

#include "core/echo/asked.h"
#include "core/echo/members.h"
#include "core/echo/message_text.h"
#include "core/json/growing_text.h"
#include "core/memory/secure_buffer.h"
#include "core/result.h"

namespace nomyo::echo {

// How large a made text may be, and how deep JSON in the request.
struct Limits {
  std::size_t bytes;
  std::size_t depth;
};

struct ToolCall {
  Value name;  // the string in the request; empty when no tool is called
  // The name, a line feed and the arguments: what tells this call from others.
  SecureBuffer memory;
  Value text;
  Value arguments;  // the part of it that are the arguments, a JSON text
};

// MakeToolCall decides whether a tool is called. Errors: kTooLarge, kCancelled, kMemoryLock, kOutOfMemory.
Result<ToolCall> MakeToolCall(const Request& request, const Asked& asked, const Limits& limits);

// ObjectText returns `text` as UTF-8, without white space around it, when it is the JSON of an object; otherwise an
// empty buffer. Errors: kCancelled, kMemoryLock, kOutOfMemory.
Result<SecureBuffer> ObjectText(const Request& request, std::span<const char16_t> text, std::size_t max_depth);

}  // namespace nomyo::echo
