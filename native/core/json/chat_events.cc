#include "core/json/chat_events.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <optional>
#include <string>
#include <utility>

#include "core/json/check.h"
#include "core/json/cursor.h"
#include "core/json/string.h"

namespace nomyo {
namespace {

using Text = std::span<const std::uint8_t>;

Error NotOfThisForm(std::string why) {
  return {Code::kPlaintext, std::move(why)};
}

// Output counts what it is given, and writes it where there is room: the first pass has none, and tells how much the
// second one needs.
class Output {
 public:
  explicit Output(std::span<std::uint8_t> room = {}) : room_(room) {}

  void Put(Text bytes) {
    if (bytes.size() <= room_.size() - std::min(size_, room_.size())) {
      if (!bytes.empty()) std::memcpy(room_.data() + size_, bytes.data(), bytes.size());
    }
    size_ += bytes.size();
  }
  void Put(std::string_view text) { Put(Text(reinterpret_cast<const std::uint8_t*>(text.data()), text.size())); }
  void Put(const JsonString& string) {
    Put("\"");
    Put(string.raw);
    Put("\"");
  }

  std::size_t size() const { return size_; }

 private:
  std::span<std::uint8_t> room_;
  std::size_t size_ = 0;
};

struct Member {
  JsonString name;
  Text value;
};

// Members goes over the members of one object: while (auto member = members.Next()).
class Members {
 public:
  Members(Text object, std::span<const JsonString> long_strings, const Cancellation* cancellation)
      : cursor_(object, long_strings, cancellation) {
    cursor_.Peek();
    cursor_.Take();
  }

  std::optional<Member> Next() {
    cursor_.Peek();
    if (!cursor_.More('}')) return std::nullopt;
    cursor_.Peek();
    const JsonString name = cursor_.String();
    cursor_.Peek();
    cursor_.Take();
    cursor_.Peek();
    return Member{name, cursor_.SkipValue()};
  }

 private:
  JsonCursor cursor_;
};

bool IsNull(const std::optional<Text>& value) {
  return !value || value->empty() || value->front() == 'n';
}
bool Begins(const std::optional<Text>& value, std::uint8_t with) {
  return value && !value->empty() && value->front() == with;
}
bool IsNumber(const std::optional<Text>& value) {
  return value && !value->empty() && (value->front() == '-' || (value->front() >= '0' && value->front() <= '9'));
}

class Composer {
 public:
  Composer(Text answer, std::span<const JsonString> long_strings, const ChatEventsOptions& options,
           const Cancellation* cancellation)
      : answer_(answer), long_strings_(long_strings), options_(options), cancellation_(cancellation) {}

  // What stands in the answer beside the choices, and in every chunk.
  Status ReadHead() {
    Output size;
    if (const Status status = WriteHead(size); !status) return status;
    auto head = SecureBuffer::Allocate(size.size());
    if (!head) return head.error();
    Output head_text(head->bytes());
    if (const Status status = WriteHead(head_text); !status) return status;
    if (head_text.size() != size.size()) return Changed();
    head_ = std::move(*head);
    if (!Begins(choices_, '[')) return NotOfThisForm("`choices` is not a list");
    return Status::Ok();
  }

  Status Write(Output& out) {
    JsonCursor cursor(*choices_, long_strings_, cancellation_);
    cursor.Peek();
    cursor.Take();
    cursor.Peek();
    std::size_t position = 0;
    for (bool more = cursor.More(']'); more; ++position) {
      cursor.Peek();
      const Text choice = cursor.SkipValue();
      cursor.Peek();
      more = cursor.More(']');
      if (const Status status = WriteChoice(out, choice, position, !more && !options_.include_usage); !status)
        return status;
      if (out.size() > options_.limit) return Error{Code::kTooLarge, "the events would be too large"};
    }
    if (options_.include_usage) {
      Begin(out);
      out.Put("],\"usage\":");
      if (IsNull(usage_)) {
        out.Put("null");
      } else {
        Compact(out, *usage_);
      }
      End(out, true);
    }
    out.Put("data: [DONE]\n\n");
    return Status::Ok();
  }

 private:
  static Error Changed() { return NotOfThisForm("it was changed meanwhile"); }

  Members MembersOf(Text object) const { return {object, long_strings_, cancellation_}; }

  // Takes `member` if it has the name: false, or an error that is kept in `twice_`, when there was one already.
  bool Take(const Member& member, std::string_view name, std::optional<Text>& into) {
    if (!IsText(member.name, name)) return false;
    if (into) twice_ = true;
    into = member.value;
    return true;
  }

  Status WriteHead(Output& out) {
    std::optional<Text> choices;
    std::optional<Text> usage;
    std::optional<Text> metadata;
    std::optional<Text> object;
    Members members = MembersOf(answer_);
    while (const auto member = members.Next()) {
      if (Take(*member, "choices", choices) || Take(*member, "usage", usage) || Take(*member, "_metadata", metadata) ||
          Take(*member, "object", object)) {
        continue;
      }
      PutMember(out, *member);
      out.Put(",");
    }
    choices_ = choices;
    usage_ = usage;
    return CheckTwice();
  }

  Status CheckTwice() const { return twice_ ? Status(NotOfThisForm("a name occurs twice")) : Status::Ok(); }

  Status WriteChoice(Output& out, Text choice, std::size_t position, bool last) {
    std::optional<Text> stated_index;
    std::optional<Text> message;
    std::optional<Text> logprobs;
    std::optional<Text> finish;
    if (!Begins(choice, '{')) return NotOfThisForm("a choice is not an object");
    Members members = MembersOf(choice);
    while (const auto member = members.Next()) {
      if (Take(*member, "index", stated_index) || Take(*member, "message", message) ||
          Take(*member, "logprobs", logprobs) || Take(*member, "finish_reason", finish)) {
        continue;
      }
    }
    if (!Begins(message, '{')) return NotOfThisForm("a choice's `message` is not an object");
    std::optional<Text> role;
    std::optional<Text> calls;
    Members said = MembersOf(*message);
    while (const auto member = said.Next()) {
      if (!Take(*member, "role", role)) Take(*member, "tool_calls", calls);
    }
    if (!IsNull(calls) && !Begins(calls, '[')) return NotOfThisForm("`tool_calls` is not a list");
    if (const Status status = CheckTwice(); !status) return status;

    BeginChoice(out, stated_index, position);
    out.Put("\"role\":");
    if (IsNull(role)) {
      out.Put("\"assistant\"");
    } else {
      Compact(out, *role);
    }
    out.Put(",\"content\":\"\"},\"finish_reason\":null}]");
    EndOfChoice(out, false);

    BeginChoice(out, stated_index, position);
    if (const Status status = WriteDelta(out, *message, calls); !status) return status;
    out.Put("},\"finish_reason\":null");
    if (logprobs) {
      out.Put(",\"logprobs\":");
      Compact(out, *logprobs);
    }
    out.Put("}]");
    EndOfChoice(out, false);

    BeginChoice(out, stated_index, position);
    out.Put("},\"finish_reason\":");
    if (IsNull(finish)) {
      out.Put("null");
    } else {
      Compact(out, *finish);
    }
    out.Put("}]");
    EndOfChoice(out, last);
    return Status::Ok();
  }

  // Everything that the message says, but its role.
  Status WriteDelta(Output& out, Text message, const std::optional<Text>& calls) {
    bool first = true;
    Members members = MembersOf(message);
    while (const auto member = members.Next()) {
      if (IsText(member->name, "role") || IsText(member->name, "tool_calls")) continue;
      if (!std::exchange(first, false)) out.Put(",");
      PutMember(out, *member);
    }
    if (IsNull(calls)) return Status::Ok();
    if (!first) out.Put(",");
    out.Put("\"tool_calls\":[");
    JsonCursor cursor(*calls, long_strings_, cancellation_);
    cursor.Peek();
    cursor.Take();
    for (std::size_t position = 0;; ++position) {
      cursor.Peek();
      if (!cursor.More(']')) break;
      cursor.Peek();
      const Text call = cursor.SkipValue();
      if (!Begins(call, '{')) return NotOfThisForm("a tool call is not an object");
      if (position != 0) out.Put(",");
      if (const Status status = WriteCall(out, call, position); !status) return status;
    }
    out.Put("]");
    return Status::Ok();
  }

  // In a stream each call says which one it is, because it could come in pieces.
  Status WriteCall(Output& out, Text call, std::size_t position) {
    std::optional<Text> stated_index;
    Members look = MembersOf(call);
    while (const auto member = look.Next()) Take(*member, "index", stated_index);
    if (const Status status = CheckTwice(); !status) return status;
    out.Put("{\"index\":");
    PutIndex(out, stated_index, position);
    Members members = MembersOf(call);
    while (const auto member = members.Next()) {
      if (IsText(member->name, "index")) continue;
      out.Put(",");
      PutMember(out, *member);
    }
    out.Put("}");
    return Status::Ok();
  }

  void Begin(Output& out) const {
    out.Put("data: {");
    out.Put(head_.bytes());
    out.Put("\"object\":\"chat.completion.chunk\",\"choices\":[");
  }

  void BeginChoice(Output& out, const std::optional<Text>& stated_index, std::size_t position) const {
    Begin(out);
    out.Put("{\"index\":");
    PutIndex(out, stated_index, position);
    out.Put(",\"delta\":{");
  }

  // OpenAI's servers send null with every chunk but the last when the counts were asked for.
  void EndOfChoice(Output& out, bool last) const {
    if (options_.include_usage) out.Put(",\"usage\":null");
    End(out, last);
  }

  void End(Output& out, bool last) const {
    if (last) {
      out.Put(",\"_metadata\":");
      out.Put(options_.metadata);
    }
    out.Put("}\n\n");
  }

  static void PutIndex(Output& out, const std::optional<Text>& stated, std::size_t position) {
    if (IsNumber(stated)) {
      out.Put(*stated);
      return;
    }
    char digits[24];
    const auto end = std::to_chars(digits, digits + sizeof digits, position).ptr;
    out.Put(std::string_view(digits, static_cast<std::size_t>(end - digits)));
  }

  void PutMember(Output& out, const Member& member) const {
    out.Put(member.name);
    out.Put(":");
    Compact(out, member.value);
  }

  // A value without the white space between its tokens.
  void Compact(Output& out, Text value) const {
    JsonCursor cursor(value, long_strings_, cancellation_);
    for (;;) {
      const std::uint8_t next = cursor.Peek();
      const std::uint8_t* const from = cursor.position();
      switch (next) {
        case 0: return;
        case '"': out.Put(cursor.String()); break;
        case '{':
        case '}':
        case '[':
        case ']':
        case ',':
        case ':':
          out.Put(Text(from, 1));
          cursor.Take();
          break;
        default: {
          const Text scalar = cursor.SkipValue();
          if (scalar.empty()) return;
          out.Put(scalar);
        }
      }
    }
  }

  Text answer_;
  std::span<const JsonString> long_strings_;
  const ChatEventsOptions& options_;
  const Cancellation* cancellation_;
  SecureBuffer head_;
  std::optional<Text> choices_;
  std::optional<Text> usage_;
  bool twice_ = false;
};

}  // namespace

Result<SecureBuffer> ComposeChatEvents(std::span<const std::uint8_t> answer, const ChatEventsOptions& options,
                                       const Cancellation* cancellation) {
  auto facts = CheckJson(answer, options.max_depth, cancellation);
  if (!facts) {
    if (facts.error().code != Code::kPlaintext) return facts.error();
    return NotOfThisForm("it is not the JSON of one object in UTF-8, or nested too deeply");
  }
  Composer composer(answer, facts->long_strings, options, cancellation);
  if (const Status status = composer.ReadHead(); !status) return status.error();
  Output size;
  if (const Status status = composer.Write(size); !status) return status.error();
  if (IsCancelled(cancellation)) return Error{Code::kCancelled, "The work was cancelled."};
  if (size.size() > options.limit) return Error{Code::kTooLarge, "the events would be too large"};
  auto events = SecureBuffer::Allocate(size.size());
  if (!events) return events.error();
  Output out(events->bytes());
  if (const Status status = composer.Write(out); !status) return status.error();
  // A cancelled walk ends early, and what it wrote is not whole.
  if (IsCancelled(cancellation)) return Error{Code::kCancelled, "The work was cancelled."};
  if (out.size() != size.size()) return NotOfThisForm("it was changed meanwhile");
  return events;
}

}  // namespace nomyo
