// JsonCursor: walking JSON, and any other bytes, to their end and no further.
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "core/cancellation.h"
#include "core/json/check.h"
#include "core/json/cursor.h"
#include "core/json/pointer.h"
#include "core/json/string.h"
#include "test/bytes.h"

namespace nomyo {
namespace {

TEST(JsonCursor, StepsOverLongStringsThatTheCheckHasListed) {
  const std::string long_text(kLongString, 'x');
  const std::string longer = long_text + "\\n" + long_text + "\xc3\xa4";
  const std::string text =
      "{\"" + long_text + "\":[\"short\",\"" + longer + "\"],\"end\":{\"a\":\"" + long_text + "\"}}";
  auto facts = CheckJson(BytesOf(text), 8);
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
      auto found = FindPointer(BytesOf(text), pointer, list);
      ASSERT_TRUE(found.ok());
      JsonCursor cursor(*found, list);
      EXPECT_EQ(cursor.SkipValue().size(), found->size());
      EXPECT_EQ(cursor.Peek(), 0);
    }
    EXPECT_EQ(FindPointer(BytesOf(text), "/" + long_text + "/1", list)->size(), longer.size() + 2);
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
  ASSERT_TRUE(CheckJson(BytesOf(good), 64).ok());
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
  ASSERT_TRUE(CheckJson(BytesOf(text), 64).ok());
  Cancellation cancellation;
  JsonCursor cursor(BytesOf(text), {}, &cancellation);
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

}  // namespace
}  // namespace nomyo
