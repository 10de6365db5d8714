// AES-256-GCM against published vectors.
#include "core/crypto/aes_gcm.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

namespace nomyo {
namespace {

using Bytes = std::vector<std::uint8_t>;

Bytes FromHex(std::string_view hex) {
  Bytes bytes;
  for (std::size_t i = 0; i < hex.size(); i += 2) {
    bytes.push_back(static_cast<std::uint8_t>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16)));
  }
  return bytes;
}

template <std::size_t N>
std::array<std::uint8_t, N> Fixed(std::string_view hex) {
  const Bytes bytes = FromHex(hex);
  std::array<std::uint8_t, N> fixed{};
  std::copy_n(bytes.begin(), N, fixed.begin());
  return fixed;
}

struct Vector {
  const char* source;
  const char* key;
  const char* nonce;
  const char* plaintext;
  const char* ciphertext;
  const char* tag;
};

// Those with a 96-bit nonce, a 128-bit tag and no associated data, which is all that the protocol uses.
constexpr Vector kVectors[] = {
    {"NIST CAVP gcmEncryptExtIV256.rsp, PTlen 0, count 0",
     "b52c505a37d78eda5dd34f20c22540ea1b58963cf8e5bf8ffa85f9f2492505b4", "516c33929df5a3284ff463d7", "", "",
     "bdc1ac884d332457a1d2664f168c76f0"},
    {"NIST CAVP gcmEncryptExtIV256.rsp, PTlen 128, count 0",
     "31bdadd96698c204aa9ce1448ea94ae1fb4a9a0b3c9d773b51bb1822666b8f22", "0d18e06c7c725ac9e362e1ce",
     "2db5168e932556f8089a0622981d017d", "fa4362189661d163fcd6a56d8bf0405a", "d636ac1bbedd5cc3ee727dc2ab4a9489"},
    {"McGrew and Viega, The Galois/Counter Mode of Operation, test case 13",
     "0000000000000000000000000000000000000000000000000000000000000000", "000000000000000000000000", "", "",
     "530f8afbc74536b9a963b4f1c4cb738b"},
    {"McGrew and Viega, test case 14", "0000000000000000000000000000000000000000000000000000000000000000",
     "000000000000000000000000", "00000000000000000000000000000000", "cea7403d4d606b6e074ec5d3baf39d18",
     "d0d1c8a799996bf0265b98b5d48ab919"},
    {"McGrew and Viega, test case 15", "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308",
     "cafebabefacedbaddecaf888",
     "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
     "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b391aafd255",
     "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
     "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662898015ad",
     "b094dac5d93471bdec1a502270e3cc6c"},
};

TEST(AesGcm, EncryptsThePublishedVectors) {
  for (const Vector& vector : kVectors) {
    SCOPED_TRACE(vector.source);
    auto encryptor = AesGcmEncryptor::Start(Fixed<32>(vector.key), Fixed<12>(vector.nonce));
    ASSERT_TRUE(encryptor);
    Bytes data = FromHex(vector.plaintext);
    ASSERT_TRUE(encryptor->Encrypt(data));
    EXPECT_EQ(data, FromHex(vector.ciphertext));
    std::array<std::uint8_t, kGcmTagBytes> tag{};
    ASSERT_TRUE(encryptor->Finish(tag));
    EXPECT_EQ(tag, Fixed<16>(vector.tag));
  }
}

TEST(AesGcm, DecryptsThePublishedVectors) {
  for (const Vector& vector : kVectors) {
    SCOPED_TRACE(vector.source);
    Bytes data = FromHex(vector.ciphertext);
    ASSERT_TRUE(AesGcmDecrypt(Fixed<32>(vector.key), Fixed<12>(vector.nonce), Fixed<16>(vector.tag), data));
    EXPECT_EQ(data, FromHex(vector.plaintext));
  }
}

TEST(AesGcm, GivesTheSameInPiecesOfAnyLength) {
  const Vector& vector = kVectors[4];
  for (std::size_t piece = 1; piece < 64; ++piece) {
    auto encryptor = AesGcmEncryptor::Start(Fixed<32>(vector.key), Fixed<12>(vector.nonce));
    ASSERT_TRUE(encryptor);
    Bytes data = FromHex(vector.plaintext);
    for (std::size_t at = 0; at < data.size(); at += piece) {
      ASSERT_TRUE(encryptor->Encrypt({data.data() + at, std::min(piece, data.size() - at)}));
    }
    EXPECT_EQ(data, FromHex(vector.ciphertext)) << piece;
  }
}

TEST(AesGcm, WipesWhatDoesNotAuthenticate) {
  const Vector& vector = kVectors[4];
  for (std::size_t bit = 0; bit < 128; ++bit) {
    auto tag = Fixed<16>(vector.tag);
    tag[bit / 8] = static_cast<std::uint8_t>(tag[bit / 8] ^ (1 << bit % 8));
    Bytes data = FromHex(vector.ciphertext);
    const Status status = AesGcmDecrypt(Fixed<32>(vector.key), Fixed<12>(vector.nonce), tag, data);
    ASSERT_FALSE(status);
    EXPECT_EQ(status.error().code, Code::kDecrypt);
    EXPECT_EQ(data, Bytes(data.size(), 0));
  }
}

TEST(AesGcm, WipesWhatWasCancelled) {
  const Vector& vector = kVectors[4];
  Cancellation cancellation;
  cancellation.Cancel();
  Bytes data = FromHex(vector.ciphertext);
  const Status status =
      AesGcmDecrypt(Fixed<32>(vector.key), Fixed<12>(vector.nonce), Fixed<16>(vector.tag), data, &cancellation);
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, Code::kCancelled);
  EXPECT_EQ(data, Bytes(data.size(), 0));
}

}  // namespace
}  // namespace nomyo
