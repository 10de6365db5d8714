// UTF-16 to UTF-8 in the pool, and the check of UTF-8.
#include "core/memory/secure_text.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

namespace nomyo {
namespace {

std::string Converted(std::u16string_view text) {
  const auto buffer = Utf8FromUtf16({text.data(), text.size()});
  EXPECT_TRUE(buffer.ok());
  const auto bytes = buffer.value().bytes();
  return {bytes.begin(), bytes.end()};
}

TEST(SecureText, ConvertsEveryLengthOfSequence) {
  // RFC 3629 section 7 has these examples.
  EXPECT_EQ(Converted(u"A\u2262\u0391."), "\x41\xE2\x89\xA2\xCE\x91\x2E");
  EXPECT_EQ(Converted(u"\uD55C\uAD6D\uC5B4"), "\xED\x95\x9C\xEA\xB5\xAD\xEC\x96\xB4");
  EXPECT_EQ(Converted(u"\uFEFF\U000233B4"), "\xEF\xBB\xBF\xF0\xA3\x8E\xB4");
  EXPECT_EQ(Converted(u""), "");
  EXPECT_EQ(Converted(std::u16string_view(u"a\0b", 3)), std::string("a\0b", 3));
}

TEST(SecureText, RefusesHalfASurrogatePair) {
  for (const std::u16string& text : {std::u16string{0xd800}, std::u16string{0xdc00}, std::u16string{'a', 0xdbff, 'b'},
                                     std::u16string{0xdc00, 0xd800}, std::u16string{0xd800, 0xd800, 0xdc00}}) {
    const auto buffer = Utf8FromUtf16(text);
    ASSERT_FALSE(buffer.ok());
    EXPECT_EQ(buffer.error().code, Code::kUtf8);
  }
}

TEST(SecureText, EveryCodePointComesBackAsTheRfcHasIt) {
  for (char32_t point = 0; point <= 0x10ffff; point += point < 0x3000 ? 1 : 61) {
    if (point >= 0xd800 && point <= 0xdfff) continue;
    std::u16string text;
    if (point < 0x10000) {
      text += static_cast<char16_t>(point);
    } else {
      text += static_cast<char16_t>(0xd800 + ((point - 0x10000) >> 10));
      text += static_cast<char16_t>(0xdc00 + ((point - 0x10000) & 0x3ff));
    }
    const std::string utf8 = Converted(text);
    char32_t back = static_cast<unsigned char>(utf8[0]);
    if (utf8.size() > 1) back &= 0x7fu >> utf8.size();
    for (std::size_t at = 1; at < utf8.size(); ++at) back = back << 6 | (static_cast<unsigned char>(utf8[at]) & 0x3f);
    ASSERT_EQ(back, point);
  }
}

bool Valid(std::string_view text) {
  // In an allocation of their own, so that a sanitizer sees a read beyond the end.
  const std::vector<std::uint8_t> bytes(text.begin(), text.end());
  return IsUtf8(bytes);
}

TEST(SecureText, IsUtf8RefusesWhatTheRfcForbids) {
  for (const char* text : {"\x80",
                           "\xbf",
                           "\xc0\x80",
                           "\xc1\xbf",
                           "\xe0\x80\x80",
                           "\xe0\x9f\xbf",
                           "\xed\xa0\x80",
                           "\xed\xbf\xbf",
                           "\xf0\x80\x80\x80",
                           "\xf0\x8f\xbf\xbf",
                           "\xf4\x90\x80\x80",
                           "\xf5\x80\x80\x80",
                           "\xff",
                           "\xfe",
                           "\xc2",
                           "\xe2\x82",
                           "\xf0\x9f\x98",
                           "\xc2\x41",
                           "\xe2\x41\x82",
                           "\xe2\x82\x41",
                           "\xf0\x9f\x98\x41",
                           "12345678\xc2",
                           "1234567\xed\xa0\x80"}) {
    EXPECT_FALSE(Valid(text)) << testing::PrintToString(std::string(text));
  }
  for (const char* text :
       {"", "a", "\x7f", "\xc2\x80", "\xdf\xbf", "\xe0\xa0\x80", "\xed\x9f\xbf", "\xee\x80\x80", "\xef\xbf\xbf",
        "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf", "12345678", "1234567\xc2\x80", "12345678\xe2\x82\xac"}) {
    EXPECT_TRUE(Valid(text)) << testing::PrintToString(std::string(text));
  }
}

}  // namespace
}  // namespace nomyo
