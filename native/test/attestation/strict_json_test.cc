// ReadJson: the quick way and the library's are one reader.
#include <cstdint>
#include <random>
#include <string>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "core/attestation/strict_json.h"

namespace nomyo {
namespace {

using nlohmann::json;

std::string Outcome(const std::string& text) {
  const Result<JsonTree> read = ReadJson(text, 4096, 8);
  return read ? read.value().root.dump() : read.error().message;
}

TEST(StrictJson, RefusesWhatTwoReadersCouldReadDifferently) {
  EXPECT_EQ(Outcome(R"({"a":1,"a":2})"), "has a key twice in one object");
  EXPECT_EQ(Outcome(R"({"a":"x","\u0061":"y"})"), "has a key twice in one object");
  EXPECT_EQ(Outcome(R"({"b":{"a":"x","a":"y"}})"), "has a key twice in one object");
  EXPECT_EQ(Outcome(R"({"a":"\ud800"})"), "is not JSON");
  EXPECT_EQ(Outcome("\xEF\xBB\xBF{}"), "starts with a byte order mark");
  EXPECT_EQ(Outcome("{} x"), "is not JSON");
  EXPECT_EQ(Outcome(R"({"a":[[[[[[[[]]]]]]]]})"), "is nested too deeply");
}

TEST(StrictJson, ReadsWhatTheLibraryReads) {
  const std::string whole =
      R"({"is_available":true,"b":[null,false,"\u00e9\ud83d\ude00\n\"",{},[]],"c":{"d":{"0":"ab"}},"n":[1,-2,0.5,1e3]})";
  EXPECT_EQ(Outcome(whole), json::parse(whole).dump());
  std::mt19937 random(20);  // the same each time
  const std::string characters = "{}[]\",:\\u0123456789eE+-. \ntrufalsn\xC3\xA9\x80";
  int read = 0;
  for (int i = 0; i < 20000; ++i) {
    std::string text = whole;
    for (unsigned changes = 1 + random() % 2; changes > 0; --changes) {
      text[random() % text.size()] = characters[random() % characters.size()];
    }
    const Result<JsonTree> ours = ReadJson(text, 4096, 8);
    const json theirs = json::parse(text, nullptr, false);
    if (ours) {
      ++read;
      ASSERT_EQ(ours.value().root, theirs) << text;
    } else if (ours.error().message == "is not JSON") {
      ASSERT_TRUE(theirs.is_discarded()) << text;
    }
  }
  EXPECT_GT(read, 1000);
}

}  // namespace
}  // namespace nomyo
