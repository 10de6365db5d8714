// What the router and the proxy do with bodies in the pool: ScanMembers, the echo model, a completion as events. The
// first byte says which. What comes out is JSON, by another reader's judgement.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "core/echo/answer.h"
#include "core/json/chat_events.h"
#include "core/json/check.h"
#include "core/json/members.h"
#include "core/memory/locking.h"

namespace {

void Demand(bool holds) {
  if (!holds) std::abort();
}

// nlohmann's reader refuses halves of surrogate pairs and numbers over the range of a double, which JSON allows.
bool IsOthersJson(std::string_view text) {
  if (text.find("\\u") != std::string_view::npos || text.find_first_of("eE") != std::string_view::npos) {
    return true;
  }
  return nlohmann::json::accept(text);
}

void Scan(std::vector<std::uint8_t> text) {
  nomyo::MemberScan scan;
  scan.find = {"model", "stream"};
  scan.blank = {"_metadata", "stream_options"};
  scan.refuse_folded = true;
  scan.max_depth = 64;
  const std::vector<std::uint8_t> before = text;
  auto found = nomyo::ScanMembers(text, scan);
  if (!found) {
    Demand(text == before);
    return;
  }
  const std::string_view after(reinterpret_cast<const char*>(text.data()), text.size());
  Demand(static_cast<bool>(nomyo::CheckJson(text, 64)) && IsOthersJson(after));
  Demand(after[found->close] == '}');
  for (const auto& value : found->found) {
    if (value) Demand(value->begin < value->end && value->end <= found->close);
  }
  // Blanked members are gone: another scan finds none of them, and as many as were left.
  const std::vector<std::uint8_t> once = text;
  auto again = nomyo::ScanMembers(text, scan);
  Demand(again && again->left == found->left && text == once);
}

void Echo(const std::vector<std::uint8_t>& text) {
  auto answer = nomyo::EchoAnswer(text, {.created = 1, .max_bytes = 1 << 16, .max_depth = 64, .room = 8});
  if (!answer) return;
  Demand(answer->length <= std::size_t{1} << 16 && answer->length + 8 <= answer->memory.size());
  const auto bytes = answer->memory.bytes().first(answer->length);
  Demand(static_cast<bool>(nomyo::CheckJson(bytes, 256)));
  Demand(IsOthersJson({reinterpret_cast<const char*>(bytes.data()), bytes.size()}));
}

void Events(const std::vector<std::uint8_t>& text) {
  for (const bool usage : {false, true}) {
    auto events = nomyo::ComposeChatEvents(
        text, {.metadata = R"({"a":1})", .include_usage = usage, .max_depth = 64, .limit = 1 << 16});
    if (!events) continue;
    std::string_view left(reinterpret_cast<const char*>(events->data()), events->size());
    Demand(left.ends_with("data: [DONE]\n\n"));
    // One line to an event, each of them JSON but the last.
    while (!left.empty()) {
      Demand(left.starts_with("data: "));
      const std::size_t end = left.find("\n\n");
      Demand(end != std::string_view::npos);
      const std::string_view event = left.substr(6, end - 6);
      Demand(event.find_first_of("\r\n") == std::string_view::npos);
      if (event != "[DONE]") {
        Demand(static_cast<bool>(
            nomyo::CheckJson({reinterpret_cast<const std::uint8_t*>(event.data()), event.size()}, 256)));
      }
      left.remove_prefix(end + 2);
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const nomyo::LockingScope scope(nomyo::Locking::kPreferred);
  if (size == 0) return 0;
  const std::vector<std::uint8_t> text(data + 1, data + size);
  switch (data[0]) {
    case 's': Scan(text); break;
    case 'e': Echo(text); break;
    case 'c': Events(text); break;
    default: break;
  }
  return 0;
}
