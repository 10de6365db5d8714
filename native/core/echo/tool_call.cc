#include "core/echo/tool_call.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "core/echo/schema_value.h"
#include "core/json/check.h"
#include "core/json/string.h"
#include "core/memory/secure_text.h"

namespace nomyo::echo {
namespace {

// "call NAME", and what comes after it, of a message's text.
struct AskedCall {
  WholeText text;
  std::span<const char16_t> name;
  std::span<const char16_t> rest;
};

Result<AskedCall> ReadCall(const Request& request, Value content) {
  constexpr std::u16string_view kCall = u"call";
  AskedCall call;
  // A look at its beginning, before memory is taken for all of it: few texts are such calls.
  MessageText beginning(request, {}, content);
  char16_t block[64];
  for (std::size_t at = 0; at <= kCall.size();) {
    const std::size_t got = beginning.Next(block);
    if (got == 0) return call;
    for (std::size_t i = 0; i < got && at <= kCall.size(); ++i, ++at) {
      if (at < kCall.size() ? block[i] != kCall[at] : !IsSpace(block[i])) return call;
    }
  }
  auto whole = ReadWhole(MessageText(request, {}, content));
  if (!whole) return whole.error();
  call.text = std::move(*whole);
  const auto units = call.text.units;
  const auto skip = [units](std::size_t from, bool space) {
    while (from < units.size() && IsSpace(units[from]) == space) ++from;
    return from;
  };
  const std::size_t name = skip(std::min(kCall.size(), units.size()), true);
  const std::size_t end = skip(name, false);
  call.name = units.subspan(name, end - name);
  call.rest = units.subspan(skip(end, true));
  return call;
}

bool IsNamed(const Request& request, Value name, std::span<const char16_t> wanted) {
  StringDecoder decoder(request.Walk(name).String().raw);
  char16_t block[64];
  while (const std::size_t got = decoder.Next(block)) {
    if (got > wanted.size() || !std::equal(block, block + got, wanted.begin())) return false;
    wanted = wanted.subspan(got);
  }
  return wanted.empty();
}

struct Tool {
  Value name;  // a string; empty when there is no tool
  Value parameters;
};

Tool ToolOf(const Request& request, Value element) {
  const auto [name, parameters] =
      Members(request, Member(request, element, "function"), std::to_array<std::string_view>({"name", "parameters"}));
  return IsString(name) ? Tool{name, parameters} : Tool{};
}

Tool ChooseTool(const Request& request, const Asked& asked, const AskedCall& call) {
  const Value named = ToolOf(request, asked.tool_choice).name;
  const bool forced = !named.empty() || Says(request, asked.tool_choice, "required");
  Tool first;
  Tool chosen;
  ForEach(request, asked.tools, [&](Value element) {
    const Tool tool = ToolOf(request, element);
    if (tool.name.empty()) return true;
    if (first.name.empty()) first = tool;
    const bool wanted = named.empty()
                            ? !call.name.empty() && IsNamed(request, tool.name, call.name)
                            : CompareText(request.Walk(tool.name).String(), request.Walk(named).String()) == 0;
    if (wanted) chosen = tool;
    return !wanted;
  });
  return chosen.name.empty() && forced ? first : chosen;
}

}  // namespace

Result<SecureBuffer> ObjectText(const Request& request, std::span<const char16_t> text, std::size_t max_depth) {
  const auto blank = [](char16_t unit) { return unit == u' ' || unit == u'\n' || unit == u'\r' || unit == u'\t'; };
  while (!text.empty() && blank(text.front())) text = text.subspan(1);
  while (!text.empty() && blank(text.back())) text = text.first(text.size() - 1);
  if (text.empty() || text.front() != u'{') return SecureBuffer();
  auto utf8 = Utf8FromUtf16(text);
  if (!utf8) {
    // Half a surrogate pair: whoever writes it into JSON escapes it.
    if (utf8.error().code == Code::kUtf8) return SecureBuffer();
    return utf8.error();
  }
  const auto facts = CheckJson(std::as_const(*utf8).bytes(), max_depth, request.cancellation);
  if (facts) return utf8;
  if (facts.error().code == Code::kPlaintext) return SecureBuffer();
  return facts.error();
}

Result<ToolCall> MakeToolCall(const Request& request, const Asked& asked, const Limits& limits) {
  ToolCall made;
  if (!IsList(asked.tools) || Says(request, asked.tool_choice, "none") || Says(request, asked.role, "tool")) {
    return made;
  }
  auto call = ReadCall(request, asked.content);
  if (!call) return call.error();
  const Tool tool = ChooseTool(request, asked, *call);
  if (tool.name.empty()) return made;
  SecureBuffer given;
  if (!call->name.empty() && IsNamed(request, tool.name, call->name)) {
    auto object = ObjectText(request, call->rest, limits.depth);
    if (!object) return object.error();
    given = std::move(*object);
  }
  auto text = GrowingText::Start(tool.name.size() + given.size() + 1024, limits.bytes);
  if (!text) return text.error();
  // As JSON, quotes and escapes included: it stands for the same.
  Status status = text->Append(tool.name);
  constexpr std::uint8_t kLineFeed[] = {'\n'};
  if (status) status = text->Append(kLineFeed);
  const std::size_t arguments = text->size();
  if (status) {
    status = given.empty() ? SchemaValue(request, tool.parameters, MessageText(request, {}, asked.content), *text)
                                 .WriteObject(tool.parameters)
                           : text->Append(std::as_const(given).bytes());
  }
  if (!status) return status.error();
  made.name = tool.name;
  const std::size_t size = text->size();
  made.memory = text->Take();
  made.text = std::as_const(made.memory).bytes().first(size);
  made.arguments = made.text.subspan(arguments);
  return made;
}

}  // namespace nomyo::echo
