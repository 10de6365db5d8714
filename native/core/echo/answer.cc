#include "core/echo/answer.h"

#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <utility>

#include "core/crypto/sha256.h"
#include "core/echo/asked.h"
#include "core/echo/members.h"
#include "core/echo/message_text.h"
#include "core/echo/schema_value.h"
#include "core/echo/tool_call.h"
#include "core/json/check.h"
#include "core/json/growing_text.h"
#include "core/json/utf8.h"
#include "core/json/writer.h"

namespace nomyo {
namespace echo {
namespace {

constexpr std::string_view kUserSaid = "This is nomyo-native's echo model, not a language model. You wrote: ";
constexpr std::string_view kToolSaid = "This is nomyo-native's echo model, not a language model. The tool answered: ";
// Of an id: hex digits of a digest.
using Fingerprint = std::array<char, 24>;

Value Bytes(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

Result<Fingerprint> FingerprintOf(Value text) {
  const auto digest = Sha256(text);
  if (!digest) return digest.error();
  Fingerprint fingerprint;
  for (std::size_t i = 0; i < fingerprint.size(); ++i) {
    const unsigned byte = digest.value()[i / 2];
    fingerprint[i] = "0123456789abcdef"[i % 2 == 0 ? byte >> 4 : byte & 15];
  }
  return fingerprint;
}

// Units gives a text's code units one by one. A copy goes on by itself.
class Units {
 public:
  explicit Units(const MessageText& text) : text_(text) {}

  // Has returns whether there is another one: then unit() is it, and Take goes on to the next.
  bool Has() noexcept {
    if (at_ != got_) return true;
    at_ = 0;
    got_ = text_.Next(block_);
    return got_ != 0;
  }
  char16_t unit() const noexcept { return block_[at_]; }
  void Take() noexcept { ++at_; }

 private:
  MessageText text_;
  char16_t block_[64] = {};
  std::size_t at_ = 0;
  std::size_t got_ = 0;
};

// One choice says a text, or calls a tool. All choices are alike.
struct Choice {
  MessageText said;
  WordCount count;
  ToolCall call;
  Fingerprint call_id{};
};

class Writer {
 public:
  explicit Writer(GrowingText& out) : out_(out), json_(out) {}

  Status Put(std::string_view text) { return out_.Append(Bytes(text)); }
  Status Put(Value raw) { return out_.Append(raw); }
  Status Put(std::size_t number) { return Put(std::to_string(number)); }
  Status Put(const Fingerprint& id) { return Put(std::string_view(id.data(), id.size())); }

  template <class... Parts>
  Status PutAll(const Parts&... parts) {
    Status status;
    static_cast<void>(((status = Put(parts)).ok() && ...));
    return status;
  }

  Status Message(const Choice& choice);
  Status Logprobs(const Choice& choice, bool top);

 private:
  Status Token(const Units& token, std::size_t units);
  Status Utf8Bytes(Units token, std::size_t units);

  GrowingText& out_;
  JsonWriter json_;
};

Status Writer::Message(const Choice& choice) {
  if (choice.call.name.empty()) {
    Status status = Put(R"({"role":"assistant","content":")");
    if (status) status = PutText(json_, choice.said, choice.count.units);
    return status ? Put(R"(","refusal":null})") : status;
  }
  Status status =
      PutAll(R"({"role":"assistant","content":null,"refusal":null,"tool_calls":[{"id":"call_)", choice.call_id,
             R"(","type":"function","function":{"name":)", choice.call.name, R"(,"arguments":")");
  if (status) status = json_.StringUtf8(choice.call.arguments);
  return status ? Put(R"("}}]})") : status;
}

// A token is a word with the white space before it; the last has what follows, too, so that they make up the text.
Status Writer::Logprobs(const Choice& choice, bool top) {
  Status status = Put(R"({"content":[)");
  Units at(choice.said);
  std::size_t left = choice.count.units;
  for (std::size_t word = 1; status && word <= choice.count.words; ++word) {
    const Units token = at;
    std::size_t units = 0;
    for (bool in_word = false; units < left && at.Has(); ++units, at.Take()) {
      const bool space = IsSpace(at.unit());
      if (space && in_word && word != choice.count.words) break;
      in_word = in_word || !space;
    }
    left -= units;
    status = Put(word == 1 ? "" : ",");
    if (status) status = Token(token, units);
    if (status) status = Put(R"(,"top_logprobs":[)");
    if (status && top) status = Token(token, units);
    if (status && top) status = Put("}");
    if (status) status = Put("]}");
  }
  return status ? Put(R"(],"refusal":null})") : status;
}

// Without the brace at its end.
Status Writer::Token(const Units& token, std::size_t units) {
  Status status = Put(R"({"token":")");
  Units at = token;
  for (std::size_t i = 0; status && i < units && at.Has(); ++i, at.Take()) {
    const char16_t unit = at.unit();
    status = json_.StringUtf16({&unit, 1});
  }
  if (status) status = json_.EndString();
  if (status) status = Put(R"(","logprob":0,"bytes":[)");
  if (status) status = Utf8Bytes(token, units);
  return status ? Put("]") : status;
}

// As numbers with commas between them. Half a surrogate pair becomes U+FFFD, as whoever writes UTF-8 has it.
Status Writer::Utf8Bytes(Units token, std::size_t units) {
  Status status;
  bool first = true;
  std::uint32_t high = 0;
  const auto put = [&](std::uint32_t point) {
    std::uint8_t bytes[4];
    const auto count = static_cast<std::size_t>(PutUtf8(bytes, point) - bytes);
    for (std::size_t i = 0; status && i < count; ++i) {
      status = PutAll(first ? "" : ",", std::size_t{bytes[i]});
      first = false;
    }
  };
  for (std::size_t i = 0; status && i < units && token.Has(); ++i, token.Take()) {
    const std::uint32_t unit = token.unit();
    const bool low = unit >= 0xDC00 && unit <= 0xDFFF;
    if (high != 0) put(low ? 0x10000 + ((high - 0xD800) << 10) + (unit - 0xDC00) : 0xFFFD);
    const bool was_pair = high != 0 && low;
    high = unit >= 0xD800 && unit <= 0xDBFF ? unit : 0;
    if (high == 0 && !was_pair) put(low ? 0xFFFD : unit);
  }
  if (high != 0) put(0xFFFD);
  return status;
}

// A JSON string of `text`, in memory of its own.
struct Quoted {
  SecureBuffer memory;
  Value value;
};

Result<Quoted> Quote(Value text, std::size_t most) {
  auto quoted = GrowingText::Start(text.size() + text.size() / 8 + 64, most);
  if (!quoted) return quoted.error();
  Status status = quoted->Append(Bytes("\""));
  if (status) status = JsonWriter(*quoted).StringUtf8(text);
  if (status) status = quoted->Append(Bytes("\""));
  if (!status) return status.error();
  const std::size_t size = quoted->size();
  Quoted made{quoted->Take(), {}};
  made.value = std::as_const(made.memory).bytes().first(size);
  return made;
}

// The JSON that `response_format` asks for; empty when it asks for none.
Result<Quoted> MakeJson(const Request& request, const Asked& asked, const Limits& limits) {
  const auto [type, wrapper] = Members(request, asked.format, std::to_array<std::string_view>({"type", "json_schema"}));
  const bool by_schema = Says(request, type, "json_schema");
  if (!by_schema && !Says(request, type, "json_object")) return Quoted{};
  const MessageText said(request, {}, asked.content);
  auto text = GrowingText::Start(asked.content.size() + 256, limits.bytes);
  if (!text) return text.error();
  if (by_schema) {
    const Value schema = Member(request, wrapper, "schema");
    SchemaValue value(request, schema, said, *text);
    if (const Status status = value.Write(schema); !status) return status.error();
    return Quote(text->bytes(), limits.bytes);
  }
  auto whole = ReadWhole(said);
  if (!whole) return whole.error();
  auto object = ObjectText(request, whole->units, limits.depth);
  if (!object) return object.error();
  if (!object->empty()) return Quote(std::as_const(*object).bytes(), limits.bytes);
  JsonWriter writer(*text);
  Status status = text->Append(Bytes(R"({"content":")"));
  if (status) status = PutText(writer, said);
  if (status) status = text->Append(Bytes("\"}"));
  if (!status) return status.error();
  return Quote(text->bytes(), limits.bytes);
}

// What follows a choice's message.
Status PutEndOfChoice(Writer& out, const Choice& choice, const Asked& asked, bool calls) {
  Status status = out.Put(R"(,"logprobs":)");
  if (status) status = asked.logprobs && !calls ? out.Logprobs(choice, asked.top_logprobs) : out.Put("null");
  if (!status) return status;
  const std::string_view reason = calls ? "tool_calls" : choice.count.cut ? "length" : "stop";
  return out.PutAll(R"(,"finish_reason":")", reason, R"("})");
}

Result<EchoedAnswer> Answer(const Request& request, Value text, const EchoOptions& options) {
  const auto asked = ReadAsked(request, text);
  // A walk that was cancelled ended early, and what it found out is nothing to tell of.
  if (IsCancelled(request.cancellation)) return Error{Code::kCancelled, "The work was cancelled."};
  if (!asked) return asked.error();
  const Limits limits{options.max_bytes, options.max_depth};
  auto call = MakeToolCall(request, asked.value(), limits);
  if (!call) return call.error();
  // What was made is no part of the request, and its strings are on no list.
  const Request made{{}, request.cancellation};
  const bool calls = !call->name.empty();
  auto quoted = calls ? Quote(call->arguments, limits.bytes) : MakeJson(request, asked.value(), limits);
  if (!quoted) return quoted.error();
  const std::string_view before = Says(request, asked.value().role, "tool") ? kToolSaid : kUserSaid;
  Choice choice{quoted->value.empty() ? MessageText(request, before, asked.value().content)
                                      : MessageText(made, {}, quoted->value),
                {},
                std::move(*call)};
  choice.count = CountWords(choice.said, calls ? kNoLimit : asked.value().limit);
  if (calls) {
    const auto id = FingerprintOf(choice.call.text);
    if (!id) return id.error();
    choice.call_id = id.value();
  }

  // An unescaped text is no longer than it stands in the request.
  const std::size_t one = std::max(asked.value().content.size(), quoted->value.size()) + 512;
  auto answer = GrowingText::Start(asked.value().choices * one + options.room + 1024, options.max_bytes + options.room);
  if (!answer) return answer.error();
  Writer out(*answer);
  Status status = out.Put(R"({"id":"chatcmpl-echo-)");
  const std::size_t id_at = answer->size();
  if (status) {
    status = out.PutAll(Fingerprint{}, R"(","object":"chat.completion","created":)",
                        static_cast<std::size_t>(options.created));
  }
  if (status && !asked.value().model.empty()) status = out.PutAll(R"(,"model":)", asked.value().model);
  if (status) status = out.Put(R"(,"system_fingerprint":"nomyo-native-echo","choices":[)");
  for (std::size_t i = 0; status && i < asked.value().choices; ++i) {
    if (IsCancelled(request.cancellation)) return Error{Code::kCancelled, "The work was cancelled."};
    status = out.PutAll(i == 0 ? "" : ",", R"({"index":)", i, R"(,"message":)");
    const std::size_t message = answer->size();
    if (status) status = out.Message(choice);
    if (status && i == 0) {
      const auto id = FingerprintOf(std::as_const(*answer).bytes().subspan(message));
      if (!id) return id.error();
      std::copy(id.value().begin(), id.value().end(), answer->bytes().begin() + static_cast<std::ptrdiff_t>(id_at));
    }
    if (status) status = PutEndOfChoice(out, choice, asked.value(), calls);
  }
  const std::size_t prompt = asked.value().prompt_words;
  const std::size_t completion = asked.value().choices * choice.count.words;
  if (status) {
    status = out.PutAll(R"(],"usage":{"prompt_tokens":)", prompt, R"(,"completion_tokens":)", completion,
                        R"(,"total_tokens":)", prompt + completion, "}}");
  }
  if (!status) return status.error();
  if (answer->size() > options.max_bytes) return Error{Code::kTooLarge, "The answer is longer than it may be."};
  const std::size_t length = answer->size();
  return EchoedAnswer{answer->Take(), length};
}

}  // namespace
}  // namespace echo

Result<EchoedAnswer> EchoAnswer(std::span<const std::uint8_t> request, const EchoOptions& options,
                                const Cancellation* cancellation) {
  const auto facts = CheckJson(request, options.max_depth, cancellation);
  if (!facts) return facts.error();
  return echo::Answer({facts.value().long_strings, cancellation}, request, options);
}

}  // namespace nomyo
