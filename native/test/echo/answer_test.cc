// The echo model on bytes: what it says is in test/unit/router/echo.test.ts, which goes through the addon. Here is what
// it costs, and what it does with a request that is none.
#include "core/echo/answer.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <thread>

#include "core/json/check.h"
#include "test/bytes.h"

namespace nomyo {
namespace {

constexpr EchoOptions kOptions{1'700'000'000, 1'000'000, 64, 0};

std::string Answer(std::string_view request, const EchoOptions& options = kOptions) {
  auto answer = EchoAnswer(BytesOf(request), options);
  if (!answer) return std::string(CodeName(answer.error().code));
  const std::string text(reinterpret_cast<const char*>(answer->memory.data()), answer->length);
  EXPECT_TRUE(CheckJson(BytesOf(text), 64)) << text;
  return text;
}

std::string Asking(std::string_view content, std::string_view more = "") {
  return R"({"messages":[{"role":"user","content":)" + std::string(content) + "}]" + std::string(more) + "}";
}

TEST(EchoAnswer, KeepsWhatOnlyEscapesCanSay) {
  // Half a surrogate pair, a quote, a pair that is escaped, and a slash that need not be.
  EXPECT_NE(Answer(Asking(R"("\ud800 \" \ud83d\ude00 \/")")).find("You wrote: \\ud800 \\\" \xF0\x9F\x98\x80 /\""),
            std::string::npos);
}

TEST(EchoAnswer, TakesTheLastOfTwoMembersOfOneName) {
  EXPECT_NE(Answer(Asking(R"("first","content":"second")")).find("You wrote: second\""), std::string::npos);
}

TEST(EchoAnswer, LeavesRoomBehindItself) {
  EchoOptions options = kOptions;
  options.room = 10'000;
  auto answer = EchoAnswer(BytesOf(Asking(R"("hi")")), options);
  ASSERT_TRUE(answer);
  EXPECT_GE(answer->memory.size(), answer->length + options.room);
}

TEST(EchoAnswer, IsNoLongerThanItMayBe) {
  EchoOptions options = kOptions;
  options.max_bytes = Answer(Asking(R"("some words")")).size();
  EXPECT_NE(Answer(Asking(R"("some words")"), options), "TOO_LARGE");
  options.max_bytes -= 1;
  EXPECT_EQ(Answer(Asking(R"("some words")"), options), "TOO_LARGE");
  // As many choices as there may be, each with every byte of it as a number.
  const std::string many = Asking(R"("some words")", R"(,"n":128,"logprobs":true,"top_logprobs":5)");
  EXPECT_GT(Answer(many).size(), 128 * 1000u);
  EXPECT_EQ(Answer(many, options), "TOO_LARGE");
}

TEST(EchoAnswer, RefusesWhatIsNoObject) {
  for (const char* const text : {"", "[]", "7", "{", R"({"messages":[{)"}) EXPECT_EQ(Answer(text), "PLAINTEXT") << text;
}

TEST(EchoAnswer, StopsWhenItIsCancelled) {
  Cancellation cancellation;
  cancellation.Cancel();
  auto answer = EchoAnswer(BytesOf(Asking(R"("hi")")), kOptions, &cancellation);
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, Code::kCancelled);
}

// A schema that costs its sender little, and would cost much to follow.
TEST(EchoAnswer, FollowsASchemaOnlySoFar) {
  const auto with_schema = [](const std::string& schema) {
    return Answer(
        Asking(R"("x")", R"(,"response_format":{"type":"json_schema","json_schema":{"schema":)" + schema + "}}"));
  };
  EXPECT_EQ(with_schema(R"({"$ref":"#"})"), "TOO_LARGE");
  EXPECT_EQ(with_schema(R"({"type":"array","minItems":1e300,"items":{}})"), "TOO_LARGE");
  EXPECT_EQ(with_schema(R"({"type":"object","properties":{"a":{"$ref":"#"},"b":{"$ref":"#"}},"required":["a","b"]})"),
            "TOO_LARGE");
  // Many names, each looked for among many properties.
  std::string properties;
  std::string required;
  for (int i = 0; i < 4000; ++i) {
    properties +=
        (i == 0 ? "" : ",") + ("\"p" + std::to_string(i)) + "\":{\"description\":\"" + std::string(60, 'x') + "\"}";
    required += (i == 0 ? "\"p" : ",\"p") + std::to_string(i) + "\"";
  }
  EXPECT_EQ(with_schema(R"({"type":"object","properties":{)" + properties + R"(},"required":[)" + required + "]}"),
            "TOO_LARGE");
  // What people write is followed.
  EXPECT_NE(with_schema(R"({"$ref":"#/$defs/A","$defs":{"A":{"type":"object","properties":{"n":{"anyOf":[{"type":)"
                        R"("integer","minimum":3},{"type":"null"}]}},"required":["n"]}}})")
                .find(R"("content":"{\"n\":3}")"),
            std::string::npos);
}

#if !defined(__SANITIZE_THREAD__)  // the race is the point

TEST(EchoAnswer, BearsAWriter) {
  std::string text =
      Asking(R"("call f {\"a\": [1, 2, \"three\"]}")",
             R"(,"tools":[{"function":{"name":"f","parameters":{"required":["a","b"]}}}],"logprobs":true)");
  const std::string original = text;
  std::atomic<bool> done{false};
  std::thread writer([&] {
    for (std::size_t i = 0; !done.load(); i = (i * 31 + 7) % text.size()) {
      reinterpret_cast<volatile char*>(text.data())[i] = '"';
      reinterpret_cast<volatile char*>(text.data())[i] = original[i];
    }
  });
  for (int i = 0; i < 2000; ++i) {
    auto answer = EchoAnswer(BytesOf(text), kOptions);
    if (!answer) continue;
    EXPECT_LE(answer->length, answer->memory.size());
  }
  done = true;
  writer.join();
}

#endif

}  // namespace
}  // namespace nomyo
