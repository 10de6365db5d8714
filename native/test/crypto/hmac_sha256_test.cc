// HMAC-SHA-256 against RFC 4231, in one piece and in many.
#include "core/crypto/hmac_sha256.h"

#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

namespace nomyo {
namespace {

std::vector<std::uint8_t> BytesIn(std::string_view text) {
  return {text.begin(), text.end()};
}

std::string Hex(std::span<const std::uint8_t> bytes) {
  std::string text;
  for (const std::uint8_t byte : bytes) {
    constexpr char kDigits[] = "0123456789abcdef";
    text += kDigits[byte >> 4];
    text += kDigits[byte & 15];
  }
  return text;
}

struct Rfc4231Vector {
  std::vector<std::uint8_t> key;
  std::vector<std::uint8_t> data;
  const char* digest;
};

std::vector<Rfc4231Vector> Rfc4231() {
  return {
      {std::vector<std::uint8_t>(20, 0x0b), BytesIn("Hi There"),
       "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"},
      {BytesIn("Jefe"), BytesIn("what do ya want for nothing?"),
       "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"},
      {std::vector<std::uint8_t>(131, 0xaa), BytesIn("Test Using Larger Than Block-Size Key - Hash Key First"),
       "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"},
  };
}

TEST(HmacSha256, HasRfc4231sDigests) {
  for (const Rfc4231Vector& vector : Rfc4231()) {
    auto hmac = HmacSha256::Start(vector.key);
    ASSERT_TRUE(hmac);
    ASSERT_TRUE(hmac->Update(vector.data));
    const auto digest = hmac->Finish();
    ASSERT_TRUE(digest);
    EXPECT_EQ(Hex(digest.value()), vector.digest);
  }
}

TEST(HmacSha256, IsTheSameInPieces) {
  for (const Rfc4231Vector& vector : Rfc4231()) {
    auto hmac = HmacSha256::Start(vector.key);
    ASSERT_TRUE(hmac);
    for (const std::uint8_t byte : vector.data) ASSERT_TRUE(hmac->Update({&byte, 1}));
    ASSERT_TRUE(hmac->Update({}));
    const auto digest = hmac->Finish();
    ASSERT_TRUE(digest);
    EXPECT_EQ(Hex(digest.value()), vector.digest);
  }
}

TEST(HmacSha256, RefusesAnEmptyKey) {
  EXPECT_FALSE(HmacSha256::Start({}));
}

}  // namespace
}  // namespace nomyo
