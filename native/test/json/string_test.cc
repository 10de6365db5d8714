// What JSON's strings and numbers stand for.
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "core/json/string.h"
#include "test/bytes.h"

namespace nomyo {
namespace {

TEST(JsonString, IsComparedByWhatItStandsFor) {
  const auto text = [](std::string_view raw) {
    return JsonString{BytesOf(raw), raw.find('\\') != std::string_view::npos, false};
  };
  EXPECT_TRUE(IsText(text("model"), "model"));
  EXPECT_TRUE(IsText(text("m\\u006fdel"), "model"));
  EXPECT_TRUE(IsText(text("\\ud83d\\ude00"), "\xf0\x9f\x98\x80"));
  EXPECT_TRUE(IsText(text("\\ud800"), "\xed\xa0\x80"));
  EXPECT_FALSE(IsText(text("m\\u006fdels"), "model"));
  EXPECT_FALSE(IsText(text("m\\u006fde"), "model"));
  EXPECT_FALSE(IsText(text("\\u0000"), ""));
  EXPECT_EQ(CompareText(text("a\\/b"), text("a/b")), 0);
  EXPECT_LT(CompareText(text("a"), text("a\\u0000")), 0);
  EXPECT_GT(CompareText(text("\\u00e4"), text("z")), 0);
  EXPECT_EQ(CompareText(text("\\u00e4"), text("\xc3\xa4")), 0);
}

TEST(StringDecoder, MostUtf16UnitsIsRoomForAll) {
  for (const std::string_view text : {"", "x", "plain", "\xc3\xa4", "\xe6\xbc\xa2", "\xf0\x9f\x98\x80",
                                      "\\n\\ud83d\\ude00", "a\xf0\x9f\x98\x80\\u00e9z"}) {
    std::vector<char16_t> units(MostUtf16Units(BytesOf(text)));
    StringDecoder decoder(BytesOf(text));
    decoder.Next(units);
    EXPECT_TRUE(decoder.done()) << text;
  }
}

TEST(ParseNumber, IsTheNearestDouble) {
  const auto parse = [](std::string_view text) { return ParseNumber(BytesOf(text)); };
  EXPECT_EQ(parse("0.1"), 0.1);
  EXPECT_EQ(parse("9007199254740993"), 9007199254740992.0);
  EXPECT_EQ(parse("2.2250738585072011e-308"), 2.2250738585072011e-308);
  EXPECT_EQ(parse("4.9406564584124654e-324"), std::numeric_limits<double>::denorm_min());
  EXPECT_EQ(parse("1.7976931348623157e308"), std::numeric_limits<double>::max());
  EXPECT_TRUE(std::signbit(parse("-0")));
  EXPECT_TRUE(std::signbit(parse("-0.0e5")));
  for (const char* huge : {"1e309", "1e99999999999999999999", "1000e400", "0.001e400"}) {
    EXPECT_EQ(parse(huge), std::numeric_limits<double>::infinity()) << huge;
  }
  EXPECT_EQ(parse("-1e309"), -std::numeric_limits<double>::infinity());
  for (const char* tiny : {"1e-400", "1e-99999999999999999999", "0.0001e-330", "-1e-400"}) {
    EXPECT_EQ(parse(tiny), 0.0) << tiny;
  }
  EXPECT_TRUE(std::signbit(parse("-1e-400")));
  EXPECT_EQ(parse("0e99999999999999999999"), 0.0);
  EXPECT_EQ(parse(std::string("1").append(400, '0')), std::numeric_limits<double>::infinity());
  EXPECT_EQ(parse(std::string("0.").append(400, '0').append("1")), 0.0);
}

TEST(ParseNumber, CountsEveryDigit) {
  const auto parse = [](const std::string& text) { return ParseNumber(BytesOf(text)); };
  // 2^53 + 1 lies halfway between two doubles, and goes to the even one; anything above it, however far behind, to the
  // other.
  for (const std::size_t zeros : {1, 700, 783, 784, 785, 786, 5000}) {
    const std::string half = "9007199254740993." + std::string(zeros, '0');
    EXPECT_EQ(parse(half), 9007199254740992.0) << zeros;
    EXPECT_EQ(parse(half + "1"), 9007199254740994.0) << zeros;
    EXPECT_EQ(parse("-" + half + "1"), -9007199254740994.0) << zeros;
  }
  EXPECT_EQ(parse("1" + std::string(5000, '0') + "e-5000"), 1.0);
  EXPECT_EQ(parse("123" + std::string(5000, '0') + "1e-5001"), 123.0);
  EXPECT_EQ(parse("0." + std::string(5000, '0') + "15e5001"), 1.5);
  EXPECT_EQ(parse("0." + std::string(5000, '0') + "15e+5000"), 0.15);
}

TEST(StringDecoder, GivesUtf16InPiecesOfAnySize) {
  const std::string_view raw = R"(a\n\u00e9é€😀\ud83d\ude00\ud800x\udc00\/)";
  const std::u16string expected =
      u"a\n\u00e9é€😀😀" + std::u16string(1, 0xD800) + u"x" + std::u16string(1, 0xDC00) + u"/";
  for (std::size_t size = 2; size < 20; ++size) {
    StringDecoder decoder(BytesOf(raw));
    std::u16string got;
    std::vector<char16_t> piece(size);
    while (const std::size_t count = decoder.Next(piece)) got.append(piece.data(), count);
    EXPECT_EQ(got, expected) << size;
  }
}

}  // namespace
}  // namespace nomyo
