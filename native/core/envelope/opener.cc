#include "core/envelope/opener.h"

#include <array>
#include <cstring>
#include <utility>
#include <vector>

#include "core/crypto/aes_gcm.h"
#include "core/crypto/random.h"
#include "core/crypto/rsa_oaep.h"
#include "core/envelope/base64.h"
#include "core/envelope/json_check.h"
#include "core/envelope/package_reader.h"

namespace nomyo {
namespace {

Error BadBase64() {
  return {Code::kPackageFormat, "A field of the package is not base64, or not of its right length."};
}

template <std::size_t N>
bool DecodeExactly(std::string_view text, std::array<std::uint8_t, N>& out) {
  return Base64DecodedSize(text) == N && Base64Decode(text, out);
}

// The package's AES key, or a random one when there is none to be had.
Result<SecureBuffer> UnwrapKey(const RsaPrivateKey& key, std::span<const std::uint8_t> wrapped) {
  auto aes_key = OaepDecrypt(key, wrapped);
  if (aes_key && aes_key->size() == kAesKeyBytes) return aes_key;
  if (!aes_key && aes_key.error().code != Code::kDecrypt) return aes_key.error();
  auto random = SecureBuffer::Allocate(kAesKeyBytes);
  if (!random) return random.error();
  const Status status = FillRandom(random->bytes());
  if (!status) return status.error();
  return random;
}

}  // namespace

Result<OpenedPackage> OpenPackage(const RsaPrivateKey& key, std::span<const std::uint8_t> package,
                                  const OpenLimits& limits, bool keep_aes_key) {
  auto fields = ReadPackage(package);
  if (!fields) return fields.error();
  std::array<std::uint8_t, kGcmNonceBytes> nonce{};
  std::array<std::uint8_t, kGcmTagBytes> tag{};
  if (!DecodeExactly(fields->nonce, nonce) || !DecodeExactly(fields->tag, tag)) return BadBase64();
  const auto wrapped_size = Base64DecodedSize(fields->encrypted_aes_key);
  const auto size = Base64DecodedSize(fields->ciphertext);
  if (!wrapped_size || !size) return BadBase64();
  if (*size > limits.max_plaintext_bytes) {
    return Error{Code::kTooLarge, "The answer is larger than the limit that was set for it."};
  }
  std::vector<std::uint8_t> wrapped(*wrapped_size);
  if (!Base64Decode(fields->encrypted_aes_key, wrapped)) return BadBase64();
  auto plaintext = SecureBuffer::Allocate(*size);
  if (!plaintext) return plaintext.error();
  if (!Base64Decode(fields->ciphertext, plaintext->bytes())) return BadBase64();

  auto aes_key = UnwrapKey(key, wrapped);
  if (!aes_key) return aes_key.error();
  const std::span<const std::uint8_t, kAesKeyBytes> key_bytes(aes_key->data(), kAesKeyBytes);
  const Status status = AesGcmDecrypt(key_bytes, nonce, tag, plaintext->bytes());
  if (!status) return status.error();
  auto facts = CheckJson(plaintext->bytes(), limits.max_depth);
  if (!facts) return facts.error();
  return OpenedPackage{std::move(*plaintext), keep_aes_key ? std::move(*aes_key) : SecureBuffer(), fields->processed_at,
                       facts->values};
}

}  // namespace nomyo
