// What the router sees of an object's members without making values of them, and what it takes away.
#include "core/json/members.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace nomyo {
namespace {

constexpr std::size_t kDepth = 64;

std::span<std::uint8_t> Mutable(std::string& text) {
  return {reinterpret_cast<std::uint8_t*>(text.data()), text.size()};
}

MemberScan Find(std::vector<std::string> names) {
  return {std::move(names), {}, false, kDepth};
}

MemberScan Blank(std::vector<std::string> names) {
  return {{}, std::move(names), false, kDepth};
}

// Values are the texts of what was found, "-" for what was not.
std::vector<std::string> Values(std::string text, const MemberScan& scan) {
  auto scanned = ScanMembers(Mutable(text), scan);
  if (!scanned) return {scanned.error().message};
  std::vector<std::string> values;
  for (const auto& found : scanned->found) {
    values.push_back(found ? text.substr(found->begin, found->end - found->begin) : "-");
  }
  return values;
}

std::string Refusal(std::string text, const MemberScan& scan) {
  const std::string before = text;
  auto scanned = ScanMembers(Mutable(text), scan);
  EXPECT_EQ(text, before);
  if (scanned) return "";
  EXPECT_EQ(scanned.error().code, Code::kPlaintext);
  return scanned.error().message;
}

TEST(ScanMembers, FindsTheValuesOfTheObjectsOwnMembers) {
  using List = std::vector<std::string>;
  EXPECT_EQ(Values(R"({"a":1,"b":{"a":2}, "c" : [ 3, "x" ] })", Find({"a", "b", "c", "d"})),
            (List{"1", R"({"a":2})", R"([ 3, "x" ])", "-"}));
  EXPECT_EQ(Values(R"({"\u0061":"\"}"})", Find({"a"})), List{R"("\"}")"});  // by what the name stands for
  EXPECT_EQ(Values("{}", Find({"a"})), List{"-"});
  EXPECT_EQ(Values(R"({"é":null})", Find({"é"})), List{"null"});
}

TEST(ScanMembers, SaysWhereTheObjectEndsAndHowMuchIsLeft) {
  std::string text = R"( {"a":1 , "b":2} )";
  auto scanned = ScanMembers(Mutable(text), Blank({"b"}));
  ASSERT_TRUE(scanned);
  EXPECT_EQ(scanned->left, 1u);
  EXPECT_EQ(text[scanned->close], '}');
}

TEST(ScanMembers, BlanksMembersWithOneCommaEachWhereverTheyStand) {
  const auto blanked = [](std::string text) {
    const std::size_t length = text.size();
    EXPECT_TRUE(ScanMembers(Mutable(text), Blank({"x", "y"})));
    EXPECT_EQ(text.size(), length);
    std::erase(text, ' ');
    return text;
  };
  EXPECT_EQ(blanked(R"({"x":1,"a":2})"), R"({"a":2})");
  EXPECT_EQ(blanked(R"({"a":2,"x":1})"), R"({"a":2})");
  EXPECT_EQ(blanked(R"({"a":1,"x":2,"b":3})"), R"({"a":1,"b":3})");
  EXPECT_EQ(blanked(R"({"x":1,"y":2,"a":3})"), R"({"a":3})");
  EXPECT_EQ(blanked(R"({"x":1,"a":2,"y":3})"), R"({"a":2})");
  EXPECT_EQ(blanked(R"({"x":1,"y":2})"), "{}");
  EXPECT_EQ(blanked(R"({"x":{"a":[1,2]}})"), "{}");
  EXPECT_EQ(blanked(R"({"\u0078":1,"a":{"x":2}})"), R"({"a":{"x":2}})");  // only its own
}

TEST(ScanMembers, RefusesWhatIsNoObjectAndNamesThatOccurTwice) {
  const std::string none = "it is not the JSON of one object in UTF-8, or nested too deeply";
  for (const char* text : {"", "[]", "1", "{", "{}{}", R"({"a":1,})", "{\"\xff\":1}"}) {
    EXPECT_EQ(Refusal(text, Blank({"a"})), none) << text;
  }
  EXPECT_EQ(Refusal(R"({"a":[[1]]})", {{}, {"a"}, false, 2}), none);
  const std::string twice = "a name occurs twice";
  EXPECT_EQ(Refusal(R"({"a":1,"b":2,"a":3})", Blank({"b"})), twice);
  EXPECT_EQ(Refusal(R"({"b":1,"\u0062":2})", Blank({"b"})), twice);
  EXPECT_EQ(Refusal(R"({"b":{"a":1,"a":2}})", {}), none);         // a depth of 0 was asked for
  EXPECT_EQ(Refusal(R"({"b":{"a":1,"a":2}})", Find({"b"})), "");  // others' names are theirs
}

TEST(ScanMembers, RefusesNamesThatOtherParsersTakeForOneOfThese) {
  const MemberScan scan{{"stream"}, {"max_tokens"}, true, kDepth};
  for (const char* name : {"Stream", "STREAM", "\xC5\xBFtream", "\\u017ftream", "s_tream"}) {
    EXPECT_EQ(Refusal("{\"" + std::string(name) + "\":1}", scan), "some parsers take one of its names for \"stream\"")
        << name;
  }
  EXPECT_EQ(Refusal(R"({"maxTokens":1})", scan), "some parsers take one of its names for \"max_tokens\"");
  EXPECT_EQ(Refusal(R"({"stream":1,"streams":2,"tream":3})", scan), "");
  EXPECT_EQ(Refusal(R"({"Stream":1})", Find({"stream"})), "");
}

TEST(ScanMembers, BoundsTheMembers) {
  std::string text = "{";
  for (std::size_t i = 0; i < kMostMembers; ++i) text += "\"" + std::to_string(i) + "\":0,";
  std::string most = text;
  most.back() = '}';
  auto scanned = ScanMembers(Mutable(most), Find({"4095"}));
  ASSERT_TRUE(scanned);
  EXPECT_EQ(scanned->left, kMostMembers);
  EXPECT_TRUE(scanned->found[0]);
  EXPECT_EQ(Refusal(text + R"("more":0})", Blank({"0"})), "it has more than 4096 members");
}

TEST(ScanMembers, EndsWhenItIsCancelledAndBlanksNothing) {
  Cancellation cancelled;
  cancelled.Cancel();
  std::string text = R"({"a":1,"b":2})";
  auto scanned = ScanMembers(Mutable(text), Blank({"a"}), &cancelled);
  ASSERT_FALSE(scanned);
  EXPECT_EQ(scanned.error().code, Code::kCancelled);
  EXPECT_EQ(text, R"({"a":1,"b":2})");
}

#if !defined(__SANITIZE_THREAD__)  // the race is the point

// Names that change while they are sorted contradict the order that they were given.
TEST(ScanMembers, BearsAWriter) {
  constexpr std::size_t kMembers = 64;
  constexpr std::size_t kMemberBytes = 7;  // "ab":0,
  std::string text = "{";
  for (std::size_t i = 0; i < kMembers; ++i) {
    text += {'"', static_cast<char>('a' + i % 26), static_cast<char>('a' + i / 26), '"', ':', '0', ','};
  }
  text.back() = '}';
  std::atomic<bool> stop = false;
  std::thread writer([&] {
    for (std::size_t at = 0; !stop; at = (at + 7) % kMembers) {
      volatile char& letter = text[2 + at * kMemberBytes];
      letter = letter == 'z' ? 'a' : 'z';
    }
  });
  for (int i = 0; i < 2000; ++i) {
    auto scanned = ScanMembers(Mutable(text), Find({"aa"}));
    if (!scanned) {
      EXPECT_EQ(scanned.error().code, Code::kPlaintext);
    } else if (scanned->found[0]) {
      EXPECT_LE(scanned->found[0]->end, text.size());
    }
  }
  stop = true;
  writer.join();
}

#endif

}  // namespace
}  // namespace nomyo
