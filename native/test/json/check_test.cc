// CheckJson: what is accepted as JSON, and what is not.
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include <gtest/gtest.h>

#include "core/cancellation.h"
#include "core/json/check.h"
#include "test/bytes.h"

namespace nomyo {
namespace {

bool Accepts(std::string_view text, std::size_t depth = 64) {
  return CheckJson(BytesOf(text), depth).ok();
}

TEST(CheckJson, AcceptsWhatRfc8259Allows) {
  for (const char* text : {"{}", " \t\r\n{ } \n", R"({"a":[1,-0,0.5,1e5,1E+5,-1.25e-7,true,false,null,"",{"b":[]}]})",
                           R"({"\u0000\"\\\/\b\f\n\r\t":"\ud800"})", "{\"é\":\"\xF0\x9F\x98\x80\x7F\"}",
                           R"({"a":1,"a":2,"__proto__":3})"}) {
    EXPECT_TRUE(Accepts(text)) << text;
  }
}

TEST(CheckJson, RefusesEverythingElse) {
  for (const char* text : {"",
                           " ",
                           "[]",
                           "1",
                           "null",
                           "\"a\"",
                           "{",
                           "}",
                           "{}{}",
                           "{} x",
                           "{,}",
                           "{\"a\"}",
                           "{\"a\":}",
                           "{\"a\":1,}",
                           "{a:1}",
                           "{'a':1}",
                           "{\"a\":1 \"b\":2}",
                           "{\"a\":[1,]}",
                           "{\"a\":[,1]}",
                           "{\"a\":[1 2]}",
                           "{\"a\":[1}",
                           "{\"a\":{]}",
                           "{\"a\":01}",
                           "{\"a\":+1}",
                           "{\"a\":.5}",
                           "{\"a\":1.}",
                           "{\"a\":1e}",
                           "{\"a\":1e+}",
                           "{\"a\":-}",
                           "{\"a\":NaN}",
                           "{\"a\":Infinity}",
                           "{\"a\":tru}",
                           "{\"a\":True}",
                           "{\"a\":nul}",
                           "{\"a\":0x10}",
                           "{\"a\":\"\n\"}",
                           "{\"a\":\"\t\"}",
                           "{\"a\":\"\\x\"}",
                           "{\"a\":\"\\u12\"}",
                           "{\"a\":\"\\u12G4\"}",
                           "{\"a\":\"\\\"}",
                           "{\"a\":\"b}",
                           "{\"a\":1}//",
                           "{/**/}",
                           "\xEF\xBB\xBF{}",
                           "{\v}",
                           "{\"a\":\xC2\xA0 1}"}) {
    EXPECT_FALSE(Accepts(text)) << text;
  }
  EXPECT_FALSE(Accepts(std::string_view("{}\0", 3)));
  EXPECT_FALSE(Accepts(std::string_view("{\"a\":\"\\\0\"}", 10)));
}

TEST(CheckJson, RefusesIllFormedUtf8) {
  // Unicode 15 table 3-7, from each side of each border.
  for (const char* bytes :
       {"\x80", "\xBF", "\xC0\x80", "\xC1\xBF", "\xC2", "\xC2\x7F", "\xE0\x9F\xBF", "\xED\xA0\x80", "\xED\xBF\xBF",
        "\xE1\x80", "\xF0\x8F\xBF\xBF", "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xF0\x90\x80", "\xFE", "\xFF"}) {
    EXPECT_FALSE(Accepts(std::string("{\"a\":\"").append(bytes).append("\"}"))) << bytes;
  }
  for (const char* bytes : {"\xC2\x80", "\xDF\xBF", "\xE0\xA0\x80", "\xED\x9F\xBF", "\xEE\x80\x80", "\xF0\x90\x80\x80",
                            "\xF4\x8F\xBF\xBF"}) {
    EXPECT_TRUE(Accepts(std::string("{\"a\":\"").append(bytes).append("\"}"))) << bytes;
  }
}

TEST(CheckJson, LimitsDepthAndNeedsNoStackForIt) {
  const auto nested = [](std::size_t depth) {
    return std::string("{\"a\":").append(depth - 1, '[').append(depth - 1, ']').append("}");
  };
  EXPECT_TRUE(Accepts(nested(8), 8));
  EXPECT_FALSE(Accepts(nested(9), 8));
  EXPECT_TRUE(Accepts(nested(1'000'000), 1'000'000));
  EXPECT_FALSE(Accepts(std::string("{\"a\":").append(10'000'000, '[')));
}

TEST(CheckJson, TellsNothingOfTheText) {
  auto facts = CheckJson(BytesOf("{\"secret\":tru}"), 8);
  ASSERT_FALSE(facts);
  EXPECT_EQ(facts.error().code, Code::kPlaintext);
  EXPECT_EQ(facts.error().message.find("secret"), std::string::npos);
}

TEST(CheckJson, EndsWhenItIsCancelledWithWhateverStartedIt) {
  const auto parent = std::make_shared<Cancellation>();
  const Cancellation cancellation(parent);
  EXPECT_TRUE(CheckJson(BytesOf("{}"), 8, &cancellation).ok());
  parent->Cancel();
  auto facts = CheckJson(BytesOf("{}"), 8, &cancellation);
  ASSERT_FALSE(facts.ok());
  EXPECT_EQ(facts.error().code, Code::kCancelled);
}

}  // namespace
}  // namespace nomyo
