#include "core/envelope/opener.h"

#include <algorithm>
#include <utility>

#include "core/crypto/rsa_oaep.h"
#include "core/envelope/package_reader.h"
#include "core/json/base64.h"
#include "core/memory/kernel_random.h"

namespace nomyo {
namespace {

Error BadBase64() {
  return {Code::kPackageFormat, "A field of the package is not base64, or not of its right length."};
}

Error Cancelled() {
  return {Code::kCancelled, "The work was cancelled."};
}

// Decodes what may be long in parts, so that a cancelled job ends soon. Only the last part is padded.
bool DecodeInParts(std::string_view text, std::span<std::uint8_t> out, const Cancellation* cancellation) {
  constexpr std::size_t kPartBytes = std::size_t{768} * 1024;
  while (out.size() > kPartBytes) {
    if (IsCancelled(cancellation) ||
        !Base64Decode(text.substr(0, Base64EncodedSize(kPartBytes)), out.first(kPartBytes)))
      return false;
    text.remove_prefix(Base64EncodedSize(kPartBytes));
    out = out.subspan(kPartBytes);
  }
  return Base64Decode(text, out);
}

// The package's AES key, or a random one when there is none to be had: drawn before, so that it costs the same time.
Result<SecureBuffer> UnwrapKey(const RsaPrivateKey& key, std::span<const std::uint8_t> wrapped) {
  auto aes_key = SecureBuffer::Allocate(kAesKeyBytes);
  if (!aes_key) return aes_key.error();
  if (!KernelRandom(aes_key->bytes())) return Error{Code::kCrypto, "The operating system gave no random bytes."};
  if (const Status status = OaepUnwrap(key, wrapped, aes_key->bytes()); !status) return status.error();
  return aes_key;
}

}  // namespace

Result<DecodedPackage> DecodePackage(std::span<const std::uint8_t> package, const OpenLimits& limits,
                                     const Cancellation* cancellation) {
  auto fields = ReadPackage(package, cancellation);
  if (!fields) return fields.error();
  DecodedPackage decoded{};
  decoded.processed_at = fields->processed_at;
  // Base64Decode refuses what does not fill the room exactly.
  if (!Base64Decode(fields->nonce, decoded.nonce) || !Base64Decode(fields->tag, decoded.tag)) return BadBase64();
  const auto key_size = Base64DecodedSize(fields->encrypted_aes_key);
  const auto size = Base64DecodedSize(fields->ciphertext);
  if (!key_size || !size) return BadBase64();
  if (*size > limits.max_plaintext_bytes) {
    return Error{Code::kTooLarge, "The answer is larger than the limit that was set for it."};
  }
  decoded.wrapped_key.resize(*key_size);
  auto payload = SecureBuffer::Allocate(*size);
  if (!payload) return payload.error();
  if (!Base64Decode(fields->encrypted_aes_key, decoded.wrapped_key) ||
      !DecodeInParts(fields->ciphertext, payload->bytes(), cancellation)) {
    return IsCancelled(cancellation) ? Cancelled() : BadBase64();
  }
  decoded.payload = std::move(*payload);
  return decoded;
}

Result<OpenedPackage> OpenPackage(const RsaPrivateKey& key, DecodedPackage package, const OpenLimits& limits,
                                  const Cancellation* cancellation) {
  if (IsCancelled(cancellation)) return Cancelled();
  auto aes_key = UnwrapKey(key, package.wrapped_key);
  if (!aes_key) return aes_key.error();
  SecureBuffer& plaintext = package.payload;
  const Status status = AesGcmDecrypt(std::span<const std::uint8_t, kAesKeyBytes>(aes_key->data(), kAesKeyBytes),
                                      package.nonce, package.tag, plaintext.bytes(), cancellation);
  if (!status) return status.error();
  aes_key->Reset();
  auto facts = CheckJson(plaintext.bytes(), limits.max_depth, cancellation);
  if (!facts) return facts.error();
  return OpenedPackage{std::move(plaintext), package.processed_at, std::move(*facts)};
}

}  // namespace nomyo
