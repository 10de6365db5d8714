// Base64 against RFC 4648's test vectors and OpenSSL's encoder.
#include "core/json/base64.h"

#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gtest/gtest.h>
#include <openssl/evp.h>

namespace nomyo {
namespace {

std::string Encode(std::string_view bytes) {
  std::string text(Base64EncodedSize(bytes.size()), '\0');
  Base64Encode({reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()}, text.data());
  return text;
}

std::optional<std::string> Decode(std::string_view text) {
  const auto size = Base64DecodedSize(text);
  if (!size) return std::nullopt;
  std::string bytes(*size, '\0');
  if (!Base64Decode(text, {reinterpret_cast<std::uint8_t*>(bytes.data()), bytes.size()})) return std::nullopt;
  return bytes;
}

std::string RandomBytes(std::mt19937& random, std::size_t size) {
  std::string bytes(size, '\0');
  for (char& byte : bytes) byte = static_cast<char>(random());
  return bytes;
}

TEST(Base64, GivesTheVectorsOfRfc4648Section10) {
  const std::pair<const char*, const char*> vectors[] = {{"", ""},
                                                         {"f", "Zg=="},
                                                         {"fo", "Zm8="},
                                                         {"foo", "Zm9v"},
                                                         {"foob", "Zm9vYg=="},
                                                         {"fooba", "Zm9vYmE="},
                                                         {"foobar", "Zm9vYmFy"}};
  for (const auto& [bytes, text] : vectors) {
    EXPECT_EQ(Encode(bytes), text);
    EXPECT_EQ(Decode(text), bytes);
  }
}

TEST(Base64, AgreesWithOpenSslAtEveryLengthOverSeveralVectors) {
  std::mt19937 random(1);
  for (std::size_t size = 1; size < 700; ++size) {
    const std::string bytes = RandomBytes(random, size);
    std::string expected(Base64EncodedSize(size) + 1, '\0');
    EVP_EncodeBlock(reinterpret_cast<unsigned char*>(expected.data()),
                    reinterpret_cast<const unsigned char*>(bytes.data()), static_cast<int>(size));
    expected.pop_back();
    ASSERT_EQ(Encode(bytes), expected) << size;
    ASSERT_EQ(Decode(expected), bytes) << size;
  }
}

TEST(Base64, RefusesEveryByteOutsideTheAlphabetAtEveryPlace) {
  std::mt19937 random(2);
  const std::string good = Encode(RandomBytes(random, 192));
  const std::string_view alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  for (std::size_t at = 0; at < good.size(); ++at) {
    for (int byte = 0; byte < 256; ++byte) {
      std::string text = good;
      text[at] = static_cast<char>(byte);
      // Padding is right only at the very end, where what stands before it must leave no bits.
      if (byte == '=' && at + 1 == good.size()) continue;
      EXPECT_EQ(Decode(text).has_value(), alphabet.find(static_cast<char>(byte)) != std::string_view::npos)
          << at << ' ' << byte;
    }
  }
}

TEST(Base64, IsCanonical) {
  // RFC 4648 3.5: bits that belong to no byte must be zero.
  EXPECT_EQ(Decode("Zh=="), std::nullopt);
  EXPECT_EQ(Decode("Zm9="), std::nullopt);
  EXPECT_EQ(Decode("Zg="), std::nullopt);
  EXPECT_EQ(Decode("Zg"), std::nullopt);
  EXPECT_EQ(Decode("Zg==="), std::nullopt);
  EXPECT_EQ(Decode("===="), std::nullopt);
  EXPECT_EQ(Decode("Z==="), std::nullopt);
  EXPECT_EQ(Decode("Zg==Zg=="), std::nullopt);
  EXPECT_EQ(Decode("Zm9v\n"), std::nullopt);
  EXPECT_EQ(Decode(" Zm9v   "), std::nullopt);
  EXPECT_EQ(Decode("Zm9_"), std::nullopt);
  EXPECT_EQ(Decode("Zm9-"), std::nullopt);
}

TEST(Base64, WritesNothingOutsideItsOutput) {
  std::mt19937 random(3);
  for (std::size_t size = 1; size < 300; ++size) {
    const std::string text = Encode(RandomBytes(random, size));
    std::vector<std::uint8_t> guarded(size + 64, 0xAA);
    ASSERT_TRUE(Base64Decode(text, {guarded.data() + 32, size}));
    for (std::size_t i = 0; i < 32; ++i) {
      ASSERT_EQ(guarded[i], 0xAA) << size;
      ASSERT_EQ(guarded[32 + size + i], 0xAA) << size;
    }
  }
}

TEST(Base64, TakesThePaddingFromTheSizesWhateverTheTextSaysByThen) {
  // The size is asked for, the text changes, and only then is it decoded: what a writer on another thread can do.
  const std::pair<const char*, const char*> changes[] = {{"Zg==", "ZgAA"}, {"Zg==", "Zm8="}, {"Zm8=", "Zm9v"},
                                                         {"Zm8=", "Zg=="}, {"Zm9v", "Zm8="}, {"Zm9v", "Zg=="}};
  for (const std::size_t before : {0u, 3u, 93u, 192u}) {
    const std::string front = Encode(std::string(before, 'x'));
    for (const auto& [asked, found] : changes) {
      const std::size_t size = *Base64DecodedSize(front + asked);
      std::vector<std::uint8_t> guarded(size + 64, 0xAA);
      EXPECT_FALSE(Base64Decode(front + found, {guarded.data(), size})) << asked << ' ' << found;
      for (std::size_t i = size; i < guarded.size(); ++i) ASSERT_EQ(guarded[i], 0xAA) << asked << ' ' << found;
    }
  }
  for (const std::size_t size : {0u, 1u, 2u, 4u, 100u}) {
    std::vector<std::uint8_t> bytes(size);
    EXPECT_FALSE(Base64Decode("Zm9v", bytes)) << size;
  }
}

}  // namespace
}  // namespace nomyo
