#include "core/echo/asked.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <string_view>

#include "core/echo/message_text.h"
#include "core/json/string.h"

namespace nomyo::echo {
namespace {

Error Refuse(const char* why) {
  return {Code::kPlaintext, why};
}

// A whole number from 1 on; nothing else.
std::optional<std::size_t> Whole(Value value) {
  if (value.empty() || value[0] < '0' || value[0] > '9') return std::nullopt;
  const double number = ParseNumber(value);
  if (number != std::floor(number) || number < 1) return std::nullopt;
  return static_cast<std::size_t>(std::min(number, 1e9));
}

}  // namespace

Result<Asked> ReadAsked(const Request& request, Value text) {
  constexpr auto kNames =
      std::to_array<std::string_view>({"model", "messages", "tools", "tool_choice", "max_tokens",
                                       "max_completion_tokens", "n", "logprobs", "top_logprobs", "response_format"});
  const auto [model, messages, tools, tool_choice, max_tokens, max_completion_tokens, n, logprobs, top_logprobs,
              format] = Members(request, text, kNames);
  Asked asked;
  asked.model = model;
  asked.tools = tools;
  asked.tool_choice = tool_choice;
  asked.limit = Whole(IsGiven(max_completion_tokens) ? max_completion_tokens : max_tokens).value_or(kNoLimit);
  if (IsGiven(n)) {
    const auto choices = Whole(n);
    if (!choices || *choices > kMostChoices) return Refuse("The request's n must be a whole number from 1 to 128.");
    asked.choices = *choices;
  }
  asked.logprobs = StartsWith(logprobs, 't');
  asked.top_logprobs = Whole(top_logprobs).has_value();
  asked.format = format;
  std::size_t count = 0;
  bool objects = true;
  ForEach(request, messages, [&](Value message) {
    objects = IsObject(message);
    if (!objects) return false;
    const auto [role, content] = Members(request, message, std::to_array<std::string_view>({"role", "content"}));
    asked.role = role;
    asked.content = content;
    asked.prompt_words += CountWords(MessageText(request, {}, content), kNoLimit).words;
    ++count;
    return true;
  });
  if (!objects || count == 0) return Refuse("The request needs messages: a list with at least one message.");
  return asked;
}

}  // namespace nomyo::echo
