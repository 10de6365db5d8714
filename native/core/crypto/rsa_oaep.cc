#include "core/crypto/rsa_oaep.h"

#include <algorithm>
#include <utility>

#include <openssl/rsa.h>

#include "core/crypto/algorithms.h"
#include "core/crypto/crypto_error.h"
#include "core/memory/openssl_memory.h"

namespace nomyo {
namespace {

bool UseOaepSha256(EVP_PKEY_CTX* context) {
  return EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_OAEP_PADDING) == 1 &&
         EVP_PKEY_CTX_set_rsa_oaep_md(context, Algorithms::Get().sha256) == 1 &&
         EVP_PKEY_CTX_set_rsa_mgf1_md(context, Algorithms::Get().sha256) == 1;
}

}  // namespace

Result<OaepEncryptor> OaepEncryptor::For(const RsaPublicKey& key) {
  ClearOpenSslError();
  EvpPkeyCtx context(EVP_PKEY_CTX_new_from_pkey(nullptr, key.get(), nullptr));
  if (!context || EVP_PKEY_encrypt_init(context.get()) != 1 || !UseOaepSha256(context.get())) {
    return CryptoError("RSA-OAEP encryption");
  }
  return OaepEncryptor(std::move(context));
}

Result<OaepEncryptor> OaepEncryptor::Copy() const {
  ClearOpenSslError();
  EvpPkeyCtx context(EVP_PKEY_CTX_dup(context_.get()));
  if (!context) return CryptoError("RSA-OAEP encryption");
  return OaepEncryptor(std::move(context));
}

Status OaepEncryptor::Encrypt(std::span<const std::uint8_t> message, std::span<std::uint8_t> out) {
  ClearOpenSslError();
  std::size_t length = out.size();
  if (EVP_PKEY_encrypt(context_.get(), out.data(), &length, message.data(), message.size()) != 1 ||
      length != out.size()) {
    return CryptoError("RSA-OAEP encryption");
  }
  return Status::Ok();
}

Result<EvpPkeyCtx> PrepareOaepDecryption(EVP_PKEY* key) {
  ClearOpenSslError();
  EvpPkeyCtx context(EVP_PKEY_CTX_new_from_pkey(nullptr, key, nullptr));
  if (!context || EVP_PKEY_decrypt_init(context.get()) != 1 || !UseOaepSha256(context.get())) {
    return CryptoError("RSA-OAEP decryption");
  }
  return context;
}

Result<SecureBuffer> OaepDecrypt(const RsaPrivateKey& key, std::span<const std::uint8_t> ciphertext) {
  ClearOpenSslError();
  const EvpPkeyCtx context(EVP_PKEY_CTX_dup(key.oaep_decryption()));
  if (!context) return CryptoError("RSA-OAEP decryption");
  // OpenSSL wants room for a whole modulus, though a message is shorter.
  auto message = SecureBuffer::Allocate(key.size());
  if (!message) return message.error();
  std::size_t length = message->size();
  if (EVP_PKEY_decrypt(context.get(), message->data(), &length, ciphertext.data(), ciphertext.size()) != 1) {
    return OpenSslError({Code::kDecrypt, "The package does not open."});
  }
  message->Truncate(length);
  return message;
}

Status OaepUnwrap(const RsaPrivateKey& key, std::span<const std::uint8_t> ciphertext, std::span<std::uint8_t> out) {
  ClearOpenSslError();
  const EvpPkeyCtx context(EVP_PKEY_CTX_dup(key.oaep_decryption()));
  if (!context) return CryptoError("RSA-OAEP decryption");
  auto message = SecureBuffer::Allocate(std::max(key.size(), out.size()));
  if (!message) return message.error();
  std::size_t length = message->size();
  const int done = EVP_PKEY_decrypt(context.get(), message->data(), &length, ciphertext.data(), ciphertext.size());
  if (OpenSslWasRefusedMemory() && done != 1) return CryptoError("RSA-OAEP decryption");
  ClearOpenSslError();
  // All ones where there is a message of that length. Volatile, so that no compiler makes a branch of it.
  const auto right = static_cast<unsigned>(done == 1) & static_cast<unsigned>(length == out.size());
  const volatile auto mask = static_cast<std::uint8_t>(0U - right);
  for (std::size_t i = 0; i < out.size(); ++i) {
    const std::uint8_t taken = mask;
    out[i] = static_cast<std::uint8_t>((message->data()[i] & taken) | (out[i] & ~taken));
  }
  return Status::Ok();
}

}  // namespace nomyo
