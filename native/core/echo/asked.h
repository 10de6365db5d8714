// Asked: what a chat completion's request asks of the echo model. Any thread.
#pragma once

#include <cstddef>

#include "core/echo/members.h"
#include "core/result.h"

namespace nomyo::echo {

inline constexpr std::size_t kNoLimit = static_cast<std::size_t>(-1);
// As many choices as OpenAI's API gives.
inline constexpr std::size_t kMostChoices = 128;

// Values that the request does not have are empty.
struct Asked {
  Value model;
  Value role;     // of the last message
  Value content;  // of the last message
  std::size_t prompt_words = 0;
  Value tools;
  Value tool_choice;
  std::size_t limit = kNoLimit;  // words of the answer
  std::size_t choices = 1;
  bool logprobs = false;
  bool top_logprobs = false;  // whether the likeliest tokens are wanted, which are the one that there is
  Value format;               // response_format
};

// ReadAsked reads the object `text`. kPlaintext when there is no message, or too many choices: the message is for its
// sender.
Result<Asked> ReadAsked(const Request& request, Value text);

}  // namespace nomyo::echo
