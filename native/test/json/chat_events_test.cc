// The events that are made of a whole completion, and which completions are refused.
#include "core/json/chat_events.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace nomyo {
namespace {

ChatEventsOptions Options(bool include_usage = false) {
  return {R"({"m":1})", include_usage, 64, 1 << 20};
}

std::string Events(std::string_view answer, const ChatEventsOptions& options = Options()) {
  auto events = ComposeChatEvents({reinterpret_cast<const std::uint8_t*>(answer.data()), answer.size()}, options);
  if (!events) return events.error().message;
  return {reinterpret_cast<const char*>(events->data()), events->size()};
}

// One event: what is between the head and the end.
std::string Event(const std::string& inside) {
  return R"(data: {"id":"x","object":"chat.completion.chunk","choices":[)" + inside + "}\n\n";
}

TEST(ComposeChatEvents, MakesThreeChunksOfAChoiceAndSaysThatItIsDone) {
  const std::string answer =
      R"({"id":"x","object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":"Hi"},)"
      R"("finish_reason":"stop"}],"usage":{"total_tokens":3},"_metadata":{"forged":true}})";
  EXPECT_EQ(Events(answer), Event(R"({"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}])") +
                                Event(R"({"index":0,"delta":{"content":"Hi"},"finish_reason":null}])") +
                                Event(R"({"index":0,"delta":{},"finish_reason":"stop"}],"_metadata":{"m":1})") +
                                "data: [DONE]\n\n");
}

TEST(ComposeChatEvents, CountsTokensInAChunkOfTheirOwn) {
  const std::string answer =
      R"({"id":"x","usage":{"total_tokens": 3},"choices":[{"message":{"content":null},"logprobs":null}]})";
  EXPECT_EQ(Events(answer, Options(true)),
            Event(R"({"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}],"usage":null)") +
                Event(R"({"index":0,"delta":{"content":null},"finish_reason":null,"logprobs":null}],"usage":null)") +
                Event(R"({"index":0,"delta":{},"finish_reason":null}],"usage":null)") +
                Event(R"(],"usage":{"total_tokens":3},"_metadata":{"m":1})") + "data: [DONE]\n\n");
  EXPECT_EQ(Events(R"({"id":"x","choices":[]})", Options(true)),
            Event(R"(],"usage":null,"_metadata":{"m":1})") + "data: [DONE]\n\n");
  EXPECT_EQ(Events(R"({"choices":[]})"), "data: [DONE]\n\n");
}

TEST(ComposeChatEvents, NumbersTheToolCalls) {
  const std::string answer =
      R"({"id":"x","choices":[{"index":7,"message":{"tool_calls":[{"id":"a","type":"function"},{"index":4,"id":"b"}],)"
      R"("role":"tool","refusal":null}}]})";
  EXPECT_EQ(Events(answer),
            Event(R"({"index":7,"delta":{"role":"tool","content":""},"finish_reason":null}])") +
                Event(R"({"index":7,"delta":{"refusal":null,"tool_calls":[{"index":0,"id":"a","type":"function"},)"
                      R"({"index":4,"id":"b"}]},"finish_reason":null}])") +
                Event(R"({"index":7,"delta":{},"finish_reason":null}],"_metadata":{"m":1})") + "data: [DONE]\n\n");
}

TEST(ComposeChatEvents, LeavesOutTheWhiteSpaceBetweenTokensAndKeepsTheOneInStrings) {
  const std::string answer =
      "{ \"id\"\n:\"x\",\r\n\t\"choices\" : [ { \"message\" : { \"content\" : \"a \\n b\" , \"n\" "
      ": [ 1 , { \"t\" : true } , -2.5e3 , null ] } } ] }";
  const std::string events = Events(answer);
  EXPECT_NE(events.find(R"("delta":{"content":"a \n b","n":[1,{"t":true},-2.5e3,null]})"), std::string::npos) << events;
  // A line break ends an event.
  EXPECT_EQ(events.find("\n", 0), events.find("\n\n"));
}

TEST(ComposeChatEvents, KeepsLongStringsWhole) {
  const std::string text(200'000, 'x');
  const std::string events =
      Events(R"({"id":"x","choices":[{"message":{"content":")" + text + R"(","b":[")" + text + R"("]}}]})");
  EXPECT_NE(events.find(R"({"content":")" + text + R"(","b":[")" + text + R"("]})"), std::string::npos);
}

TEST(ComposeChatEvents, RefusesWhatIsNoCompletion) {
  EXPECT_EQ(Events("[]"), "it is not the JSON of one object in UTF-8, or nested too deeply");
  EXPECT_EQ(Events("{}"), "`choices` is not a list");
  EXPECT_EQ(Events(R"({"choices":{}})"), "`choices` is not a list");
  EXPECT_EQ(Events(R"({"choices":[1]})"), "a choice is not an object");
  EXPECT_EQ(Events(R"({"choices":[{}]})"), "a choice's `message` is not an object");
  EXPECT_EQ(Events(R"({"choices":[{"message":[]}]})"), "a choice's `message` is not an object");
  EXPECT_EQ(Events(R"({"choices":[{"message":{"tool_calls":{}}}]})"), "`tool_calls` is not a list");
  EXPECT_EQ(Events(R"({"choices":[{"message":{"tool_calls":["x"]}}]})"), "a tool call is not an object");
}

TEST(ComposeChatEvents, RefusesANameThatIsThereTwiceWhereItLooks) {
  for (const char* answer :
       {R"({"choices":[],"choices":[]})", R"({"choices":[],"_metadata":1,"\u005fmetadata":2})",
        R"({"choices":[{"message":{},"message":{}}]})", R"({"choices":[{"message":{"role":"a","role":"b"}}]})",
        R"({"choices":[{"message":{"tool_calls":[{"index":1,"index":2}]}}]})"}) {
    EXPECT_EQ(Events(answer), "a name occurs twice") << answer;
  }
}

TEST(ComposeChatEvents, RefusesEventsThatWouldBeTooLarge) {
  const std::string answer = R"({"id":")" + std::string(1000, 'x') + R"(","choices":[{"message":{}}]})";
  ChatEventsOptions options = Options();
  options.limit = 3 * 1000;
  EXPECT_EQ(Events(answer, options), "the events would be too large");
  options.limit = 4 * 1000;
  EXPECT_GT(Events(answer, options).size(), 3000u);
}

TEST(ComposeChatEvents, EndsWhenItIsCancelled) {
  Cancellation cancellation;
  cancellation.Cancel();
  const std::string answer = R"({"choices":[]})";
  auto events = ComposeChatEvents({reinterpret_cast<const std::uint8_t*>(answer.data()), answer.size()}, Options(),
                                  &cancellation);
  ASSERT_FALSE(events);
  EXPECT_EQ(events.error().code, Code::kCancelled);
}

}  // namespace
}  // namespace nomyo
