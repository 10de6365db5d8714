#include "core/tpm/hash_algorithm.h"

#include <algorithm>
#include <iterator>

#include <openssl/crypto.h>
#include <tss2/tss2_tpm2_types.h>

#include "core/crypto/crypto_error.h"
#include "core/crypto/openssl_types.h"

namespace nomyo {
namespace {

constexpr HashAlgorithm kHashes[] = {
    {TPM2_ALG_SHA1, "sha1", 20, EVP_sha1},
    {TPM2_ALG_SHA256, "sha256", 32, EVP_sha256},
    {TPM2_ALG_SHA384, "sha384", 48, EVP_sha384},
    {TPM2_ALG_SHA512, "sha512", 64, EVP_sha512},
};

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

const HashAlgorithm* HashById(std::uint16_t id) {
  const auto* found = std::ranges::find(kHashes, id, &HashAlgorithm::id);
  return found != std::end(kHashes) ? found : nullptr;
}

const HashAlgorithm* HashByName(std::string_view name) {
  const auto* found = std::ranges::find(kHashes, name, &HashAlgorithm::name);
  return found != std::end(kHashes) ? found : nullptr;
}

std::string HashName(std::uint16_t id) {
  const HashAlgorithm* known = HashById(id);
  const std::uint8_t bytes[] = {static_cast<std::uint8_t>(id >> 8), static_cast<std::uint8_t>(id)};
  return known != nullptr ? std::string(known->name) : "0x" + ToHex(bytes);
}

bool IsSignatureHash(std::uint16_t id) {
  return id == TPM2_ALG_SHA256 || id == TPM2_ALG_SHA384 || id == TPM2_ALG_SHA512;
}

Result<Bytes> Digest(const HashAlgorithm& hash, std::initializer_list<ByteView> parts) {
  const EvpMdCtx context(EVP_MD_CTX_new());
  Bytes digest(hash.size);
  bool ok = context != nullptr && EVP_DigestInit_ex(context.get(), hash.md(), nullptr) == 1;
  for (const ByteView part : parts) ok = ok && EVP_DigestUpdate(context.get(), part.data(), part.size()) == 1;
  if (!ok || EVP_DigestFinal_ex(context.get(), digest.data(), nullptr) != 1) {
    return CryptoError("computing a digest");
  }
  return digest;
}

bool EqualBytes(ByteView a, ByteView b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

std::string ToHex(ByteView bytes) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  text.reserve(bytes.size() * 2);
  for (const std::uint8_t byte : bytes) {
    text += kDigits[byte >> 4];
    text += kDigits[byte & 15];
  }
  return text;
}

bool FromHex(std::string_view text, Bytes& bytes) {
  if (text.size() % 2 != 0) return false;
  bytes.resize(text.size() / 2);
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    const int high = HexDigit(text[2 * i]);
    const int low = HexDigit(text[2 * i + 1]);
    if (high < 0 || low < 0) return false;
    bytes[i] = static_cast<std::uint8_t>(high << 4 | low);
  }
  return true;
}

}  // namespace nomyo
