// JSON reading: what is accepted, how it is walked, what strings and numbers stand for, and pointers (RFC 6901's own
// examples).
#include <cctype>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <iterator>
#include <limits>
#include <memory>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "core/cancellation.h"
#include "core/envelope/json_check.h"
#include "core/envelope/json_cursor.h"
#include "core/envelope/json_pointer.h"
#include "core/envelope/json_string.h"
#include "core/envelope/text_scan.h"

namespace nomyo {
namespace {

std::span<const std::uint8_t> Bytes(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

bool Accepts(std::string_view text, std::size_t depth = 64) {
  return CheckJson(Bytes(text), depth).ok();
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
  auto facts = CheckJson(Bytes("{\"secret\":tru}"), 8);
  ASSERT_FALSE(facts);
  EXPECT_EQ(facts.error().code, Code::kPlaintext);
  EXPECT_EQ(facts.error().message.find("secret"), std::string::npos);
}

TEST(ScanString, FindsTheClosingQuoteAtEveryPlace) {
  for (std::size_t size = 0; size < 200; ++size) {
    const std::string plain(size, 'x');
    EXPECT_EQ(ScanString(Bytes(plain)).length, size);
    for (std::size_t at = 0; at < size; ++at) {
      std::string text = plain;
      text[at] = '"';
      const StringScan scan = ScanString(Bytes(text));
      ASSERT_EQ(scan.length, at);
      ASSERT_FALSE(scan.escaped);
      ASSERT_TRUE(scan.ascii);
      text[at] = '\x1f';
      ASSERT_EQ(ScanString(Bytes(text)).length, size) << "a control character is no part of a string";
      text[at] = '\\';
      ASSERT_EQ(ScanString(Bytes(text)).length, size) << "x is no escape";
      text.replace(at, 1, "\\\"\\u00e9\"");
      ASSERT_EQ(ScanString(Bytes(text)).length, at + 8);
      ASSERT_TRUE(ScanString(Bytes(text)).escaped);
    }
  }
}

TEST(ScanString, SaysWhetherWhatIsBeforeTheQuoteIsAscii) {
  for (std::size_t end = 0; end < 200; ++end) {
    std::string text(200, 'x');
    text[end] = '"';
    for (std::size_t at = 0; at < text.size(); ++at) {
      if (at == end) continue;
      const char former = std::exchange(text[at], '\xc3');
      ASSERT_EQ(ScanString(Bytes(text)).ascii, at > end) << at << " of " << end;
      ASSERT_EQ(ScanString(Bytes(text)).length, end);
      text[at] = former;
    }
  }
}

// RFC 8259 section 7, one character after the other.
std::size_t ScanByTheBook(std::string_view text) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '"') return i;
    if (static_cast<unsigned char>(text[i]) < 0x20) return text.size();
    if (text[i] != '\\') continue;
    if (++i == text.size() || std::string_view("\"\\/bfnrtu").find(text[i]) == std::string_view::npos) {
      return text.size();
    }
    if (text[i] != 'u') continue;
    for (int digit = 0; digit < 4; ++digit) {
      if (++i == text.size() || std::isxdigit(static_cast<unsigned char>(text[i])) == 0) return text.size();
    }
  }
  return text.size();
}

// Runs of backslashes of every length across every border between vectors, and what must not follow them.
TEST(ScanString, KnowsWhichBackslashesEscape) {
  for (const std::string_view after : {"\"", "n", "x", "u00e9", "u00g9", "u00", "\x01", "\"\"", "\\\"\""}) {
    for (std::size_t before = 0; before < 140; ++before) {
      for (std::size_t run = 0; run < 140; run += run < 8 ? 1 : 23) {
        std::string text = std::string(before, 'x') + std::string(run, '\\') + std::string(after);
        ASSERT_EQ(ScanString(Bytes(text)).length, ScanByTheBook(text)) << before << " " << run << " " << after;
        text += std::string(150, 'y') + '"';
        ASSERT_EQ(ScanString(Bytes(text)).length, ScanByTheBook(text)) << before << " " << run << " " << after;
      }
    }
  }
}

TEST(ScanString, AgreesWithTheBookOnRandomText) {
  std::mt19937 random(7);
  constexpr std::string_view kParts[] = {"\\\\",     "\\\"", "\\n", "\\u00e9", "z", "zzzzzzzz",
                                         "\xc3\xa4", "\\",   "u",   "\x1f",    "\""};
  int ended = 0;
  for (int round = 0; round < 200'000; ++round) {
    // Half of the texts hold nothing that ends them early, so that scans get far.
    const std::size_t parts = round % 2 == 0 ? std::size(kParts) : 7;
    std::string text;
    for (std::size_t count = random() % 60; count != 0; --count) text += kParts[random() % parts];
    if (round % 4 != 0) text += '"';
    const std::size_t expected = ScanByTheBook(text);
    ended += expected != text.size();
    ASSERT_EQ(ScanString(Bytes(text)).length, expected) << round;
  }
  EXPECT_GT(ended, 50'000);
}

TEST(JsonCursor, StepsOverLongStringsThatTheCheckHasListed) {
  const std::string long_text(kLongString, 'x');
  const std::string longer = long_text + "\\n" + long_text + "\xc3\xa4";
  const std::string text =
      "{\"" + long_text + "\":[\"short\",\"" + longer + "\"],\"end\":{\"a\":\"" + long_text + "\"}}";
  auto facts = CheckJson(Bytes(text), 8);
  ASSERT_TRUE(facts.ok());
  ASSERT_EQ(facts->long_strings.size(), 3u);
  EXPECT_EQ(facts->long_strings[0].raw.size(), long_text.size());
  EXPECT_EQ(facts->long_strings[1].raw.size(), longer.size());
  EXPECT_FALSE(facts->long_strings[0].escaped);
  EXPECT_TRUE(facts->long_strings[0].ascii);
  EXPECT_TRUE(facts->long_strings[1].escaped);
  EXPECT_FALSE(facts->long_strings[1].ascii);
  // From the start and from the middle, with the list and without.
  for (const auto list : {std::span<const JsonString>(facts->long_strings), std::span<const JsonString>()}) {
    for (const char* pointer : {"", "/end", "/end/a"}) {
      auto found = FindPointer(Bytes(text), pointer, list);
      ASSERT_TRUE(found.ok());
      JsonCursor cursor(*found, list);
      EXPECT_EQ(cursor.SkipValue().size(), found->size());
      EXPECT_EQ(cursor.Peek(), 0);
    }
    EXPECT_EQ(FindPointer(Bytes(text), "/" + long_text + "/1", list)->size(), longer.size() + 2);
  }
}

// Walks `text` in every way. It lies in memory of just its size, so that AddressSanitizer sees what is read outside.
void WalkInEveryWay(std::string_view text) {
  const std::vector<std::uint8_t> own(text.begin(), text.end());
  const std::span<const std::uint8_t> bytes(own);
  const std::uint8_t* const end = bytes.data() + bytes.size();
  EXPECT_LE(JsonCursor(bytes).SkipValue().data() - bytes.data(), static_cast<std::ptrdiff_t>(bytes.size()));
  for (const char* pointer : {"", "/a", "/a/1", "/a/3/c", "/d"}) static_cast<void>(FindPointer(bytes, pointer));
  JsonCursor cursor(bytes);
  cursor.Take();
  // Each turn takes a byte at least.
  for (std::size_t turns = 0; cursor.More('}'); ++turns) {
    ASSERT_LE(turns, bytes.size()) << text;
    const JsonString name = cursor.String();
    ASSERT_LE(name.raw.data() + name.raw.size(), end) << text;
    std::vector<std::uint8_t> utf8(name.raw.size() + 1);
    bool lone = false;
    static_cast<void>(DecodeUtf8(name.raw, utf8.data(), &lone));
    static_cast<void>(IsText(name, "model"));
    std::vector<char16_t> units(MostUtf16Units(name.raw));
    static_cast<void>(StringDecoder(name.raw).Next(units));
    static_cast<void>(StringDecoder(name.raw).NextLatin1(utf8));
    cursor.Take();
    cursor.SkipValue();
    ASSERT_LE(cursor.position(), end) << text;
  }
}

TEST(JsonCursor, ComesToTheEndOfAnyTextAndReadsNothingBehindIt) {
  const std::string good =
      "{\"a\":[1,-2.5e3,\"\\ud83d\\ude00\\n\",{\"b\":{},\"c\":[]}],\"\xf0\x9f\x98\x80\xc3\xa4\":true,\"d\":null}";
  ASSERT_TRUE(Accepts(good));
  for (std::size_t at = 0; at <= good.size(); ++at) {
    WalkInEveryWay(std::string_view(good).substr(0, at));
    if (at == good.size()) break;
    for (const char c : std::string("{}[],:\"\\u0-tfn x\xf0\xc3\0", 20)) {
      std::string broken = good;
      broken[at] = c;
      WalkInEveryWay(broken);
    }
  }
  for (const char* text : {"{\"", "{\"\\", "{\"\\u12", "{\"\xf0", "[[[[", "]]]]", "}", "\"", "{,,,,", "{:", "xyz"}) {
    WalkInEveryWay(text);
  }
}

TEST(JsonCursor, IsAtTheEndOnceItIsCancelled) {
  std::string text = "{\"a\":1";
  while (text.size() < 4 * kCancellationBytes) text += ",\"a\":[1,2,3]";
  text += '}';
  ASSERT_TRUE(Accepts(text));
  Cancellation cancellation;
  JsonCursor cursor(Bytes(text), {}, &cancellation);
  cursor.Take();
  std::size_t members = 0;
  for (; cursor.More('}'); ++members) {
    if (members == 100) cancellation.Cancel();
    cursor.String();
    cursor.Take();
    cursor.SkipValue();
  }
  EXPECT_GT(members, 100u);
  // The next look was due after so many bytes, and one member.
  EXPECT_LT(members, 100 + kCancellationBytes / 12 + 2);
  EXPECT_EQ(cursor.Peek(), 0);
}

TEST(CheckJson, EndsWhenItIsCancelledWithWhateverStartedIt) {
  const auto parent = std::make_shared<Cancellation>();
  const Cancellation cancellation(parent);
  EXPECT_TRUE(CheckJson(Bytes("{}"), 8, &cancellation).ok());
  parent->Cancel();
  auto facts = CheckJson(Bytes("{}"), 8, &cancellation);
  ASSERT_FALSE(facts.ok());
  EXPECT_EQ(facts.error().code, Code::kCancelled);
}

TEST(JsonString, IsComparedByWhatItStandsFor) {
  const auto text = [](std::string_view raw) {
    return JsonString{Bytes(raw), raw.find('\\') != std::string_view::npos, false};
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
    std::vector<char16_t> units(MostUtf16Units(Bytes(text)));
    StringDecoder decoder(Bytes(text));
    decoder.Next(units);
    EXPECT_TRUE(decoder.done()) << text;
  }
}

TEST(AsciiPrefix, EndsAtTheFirstByteThatIsNot) {
  for (std::size_t size = 0; size < 200; ++size) {
    std::string text(size, 'x');
    EXPECT_EQ(AsciiPrefix(Bytes(text)), size);
    for (std::size_t at = size; at-- > 0;) {
      text[at] = '\x80';
      ASSERT_EQ(AsciiPrefix(Bytes(text)), at);
    }
  }
}

// The output is cut to every size: nothing is lost at a border, nothing is written after the end.
TEST(Escape, WritesWhatEcma262Says) {
  std::string text;
  std::string expected;
  for (int c = 0; c < 0x80; ++c) {
    text += static_cast<char>(c);
    text += "plain";
    const std::string_view letters("btn\0fr", 6);
    char hex[8];
    std::snprintf(hex, sizeof hex, "\\u%04x", c);
    expected += c == '"'                       ? "\\\""
                : c == '\\'                    ? "\\\\"
                : c >= 8 && c <= 13 && c != 11 ? std::string("\\") + letters[static_cast<std::size_t>(c - 8)]
                : c < 0x20                     ? hex
                                               : std::string(1, static_cast<char>(c));
    expected += "plain";
  }
  text += "\xE9\xFF\x80 and a long tail of plain text so that whole vectors are copied at the end of all the vectors";
  expected +=
      "\xC3\xA9\xC3\xBF\xC2\x80 and a long tail of plain text so that whole vectors are copied at the end of all the "
      "vectors";
  for (std::size_t room = kMostEscaped; room < 300; ++room) {
    std::string got;
    std::vector<std::uint8_t> out(room + 32, 0xAA);
    for (auto left = Bytes(text); !left.empty();) {
      const TextProgress progress = EscapeLatin1(left, {out.data(), room});
      ASSERT_GT(progress.taken, 0u);
      got.append(reinterpret_cast<const char*>(out.data()), progress.written);
      left = left.subspan(progress.taken);
    }
    ASSERT_EQ(got, expected) << room;
    ASSERT_EQ(std::vector<std::uint8_t>(out.begin() + static_cast<std::ptrdiff_t>(room), out.end()),
              std::vector<std::uint8_t>(32, 0xAA));
  }
}

TEST(Unescape, StopsAtWhatIsNotLatin1) {
  const std::string_view raw =
      "caf\\u00e9 \xC3\xA9 \\n\\\"\\\\\\/ and a long tail of plain text that takes more than one vector\xE2\x82\xAC";
  const std::string_view expected =
      "caf\xE9 \xE9 \n\"\\/ and a long tail of plain text that takes more than one vector";
  for (std::size_t room = 1; room < 200; ++room) {
    std::string got;
    std::vector<std::uint8_t> out(room + 32, 0xAA);
    auto left = Bytes(raw);
    for (;;) {
      const TextProgress progress = UnescapeLatin1(left, {out.data(), room});
      got.append(reinterpret_cast<const char*>(out.data()), progress.written);
      left = left.subspan(progress.taken);
      if (progress.written != room) break;
    }
    ASSERT_EQ(got, expected) << room;
    ASSERT_EQ(left.size(), 3u);
    ASSERT_EQ(out[room], 0xAA);
  }
}

TEST(ParseNumber, IsTheNearestDouble) {
  const auto parse = [](std::string_view text) { return ParseNumber(Bytes(text)); };
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

TEST(StringDecoder, GivesUtf16InPiecesOfAnySize) {
  const std::string_view raw = R"(a\n\u00e9é€😀\ud83d\ude00\ud800x\udc00\/)";
  const std::u16string expected =
      u"a\n\u00e9é€😀😀" + std::u16string(1, 0xD800) + u"x" + std::u16string(1, 0xDC00) + u"/";
  for (std::size_t size = 2; size < 20; ++size) {
    StringDecoder decoder(Bytes(raw));
    std::u16string got;
    std::vector<char16_t> piece(size);
    while (const std::size_t count = decoder.Next(piece)) got.append(piece.data(), count);
    EXPECT_EQ(got, expected) << size;
  }
}

std::string At(std::string_view text, std::string_view pointer) {
  auto found = FindPointer(Bytes(text), pointer);
  if (!found) return std::string(CodeName(found.error().code));
  return {reinterpret_cast<const char*>(found->data()), found->size()};
}

TEST(FindPointer, FollowsTheExamplesOfRfc6901Section5) {
  const std::string_view text =
      R"({"foo":["bar","baz"],"":0,"a/b":1,"c%d":2,"e^f":3,"g|h":4,"i\\j":5,"k\"l":6," ":7,"m~n":8})";
  EXPECT_EQ(At(text, ""), text);
  EXPECT_EQ(At(text, "/foo"), R"(["bar","baz"])");
  EXPECT_EQ(At(text, "/foo/0"), "\"bar\"");
  EXPECT_EQ(At(text, "/"), "0");
  EXPECT_EQ(At(text, "/a~1b"), "1");
  EXPECT_EQ(At(text, "/c%d"), "2");
  EXPECT_EQ(At(text, "/e^f"), "3");
  EXPECT_EQ(At(text, "/g|h"), "4");
  EXPECT_EQ(At(text, "/i\\j"), "5");
  EXPECT_EQ(At(text, "/k\"l"), "6");
  EXPECT_EQ(At(text, "/ "), "7");
  EXPECT_EQ(At(text, "/m~0n"), "8");
}

TEST(FindPointer, SaysWhatIsNotThere) {
  const std::string_view text = R"({ "a" : [ 1 , { "b" : null } ] , "d":"x", "\u0063" : 2, "d":"y" })";
  EXPECT_EQ(At(text, "/a/1/b"), "null");
  EXPECT_EQ(At(text, "/c"), "2");
  EXPECT_EQ(At(text, "/d"), "\"y\"") << "of duplicate keys the last counts";
  for (const char* missing :
       {"/x", "/a/2", "/a/-", "/a/01", "/a/1/b/c", "/a/+1", "/a/", "/d/0", "/a/99999999999999999999"}) {
    EXPECT_EQ(At(text, missing), "NOT_FOUND") << missing;
  }
  for (const char* bad : {"a", "/a~", "/a~2"}) EXPECT_EQ(At(text, bad), "INVALID_ARGUMENT") << bad;
}

}  // namespace
}  // namespace nomyo
