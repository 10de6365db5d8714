// JSON pointers: RFC 6901's own examples, and what is not there.
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include <gtest/gtest.h>

#include "core/json/pointer.h"
#include "test/bytes.h"

namespace nomyo {
namespace {

std::string At(std::string_view text, std::string_view pointer) {
  auto found = FindPointer(BytesOf(text), pointer);
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
