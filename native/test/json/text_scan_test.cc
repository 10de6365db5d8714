// The SIMD kernels over text: where a string ends, what of it is ASCII, and escapes written and read.
#include <cctype>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <iterator>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "core/json/text_scan.h"
#include "test/bytes.h"

namespace nomyo {
namespace {

TEST(ScanString, FindsTheClosingQuoteAtEveryPlace) {
  for (std::size_t size = 0; size < 200; ++size) {
    const std::string plain(size, 'x');
    EXPECT_EQ(ScanString(BytesOf(plain)).length, size);
    for (std::size_t at = 0; at < size; ++at) {
      std::string text = plain;
      text[at] = '"';
      const StringScan scan = ScanString(BytesOf(text));
      ASSERT_EQ(scan.length, at);
      ASSERT_FALSE(scan.escaped);
      ASSERT_TRUE(scan.ascii);
      text[at] = '\x1f';
      ASSERT_EQ(ScanString(BytesOf(text)).length, size) << "a control character is no part of a string";
      text[at] = '\\';
      ASSERT_EQ(ScanString(BytesOf(text)).length, size) << "x is no escape";
      text.replace(at, 1, "\\\"\\u00e9\"");
      ASSERT_EQ(ScanString(BytesOf(text)).length, at + 8);
      ASSERT_TRUE(ScanString(BytesOf(text)).escaped);
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
      ASSERT_EQ(ScanString(BytesOf(text)).ascii, at > end) << at << " of " << end;
      ASSERT_EQ(ScanString(BytesOf(text)).length, end);
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
        ASSERT_EQ(ScanString(BytesOf(text)).length, ScanByTheBook(text)) << before << " " << run << " " << after;
        text += std::string(150, 'y') + '"';
        ASSERT_EQ(ScanString(BytesOf(text)).length, ScanByTheBook(text)) << before << " " << run << " " << after;
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
    ASSERT_EQ(ScanString(BytesOf(text)).length, expected) << round;
  }
  EXPECT_GT(ended, 50'000);
}

TEST(AsciiPrefix, EndsAtTheFirstByteThatIsNot) {
  for (std::size_t size = 0; size < 200; ++size) {
    std::string text(size, 'x');
    EXPECT_EQ(AsciiPrefix(BytesOf(text)), size);
    for (std::size_t at = size; at-- > 0;) {
      text[at] = '\x80';
      ASSERT_EQ(AsciiPrefix(BytesOf(text)), at);
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
    for (auto left = BytesOf(text); !left.empty();) {
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
    auto left = BytesOf(raw);
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

}  // namespace
}  // namespace nomyo
