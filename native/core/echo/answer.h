// EchoAnswer: the answer of the router's echo model, which is there so that clients can be tried and tested without a
// language model.
//
// It is deterministic, and says in each answer what it is.
// - It repeats the last message's text; as a JSON object where `response_format` asks for one: of type `json_object`
// the
//   text itself, if that is the JSON of an object, or else {"content": the text}; of type `json_schema` a value of the
//   schema (SchemaValue).
// - Offered tools, it calls one when `tool_choice` is "required" or names it, or when the last message is a user's and
//   starts with "call NAME". Text after the name that is a JSON object becomes the arguments; otherwise they are an
//   object of the tool's schema.
// - `max_tokens` and `max_completion_tokens` cut the answer; words stand for tokens in `usage`.
// - `n` makes so many choices, all alike; `logprobs` and `top_logprobs` tell each word's, which is 0: it was certain.
//
// Request and answer are in the pool, and whatever is made on the way between them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "core/cancellation.h"
#include "core/memory/secure_buffer.h"
#include "core/result.h"

namespace nomyo {

struct EchoOptions {
  std::int64_t created = 0;   // unix seconds
  std::size_t max_bytes = 0;  // of the answer
  std::size_t max_depth = 0;  // of the request, as CheckJson's
  std::size_t room = 0;       // bytes that the answer's memory has beyond it, so that what is added to it has a place
};

struct EchoedAnswer {
  SecureBuffer memory;
  std::size_t length = 0;  // bytes of the answer, JSON text of an object, at the beginning of `memory`
};

// EchoAnswer answers `request`, the JSON text of a chat completion's request. If another thread changes the bytes
// meanwhile, only the answer suffers. Any thread. Errors: kPlaintext when the request is no such text, with a message
// for its sender; kTooLarge over `max_bytes`, or when a schema costs too much; kCancelled, kMemoryLock, kOutOfMemory,
// kCrypto.
Result<EchoedAnswer> EchoAnswer(std::span<const std::uint8_t> request, const EchoOptions& options,
                                const Cancellation* cancellation = nullptr);

}  // namespace nomyo
