#include "core/crypto/aes_gcm.h"

#include <algorithm>
#include <array>
#include <utility>

#include "core/crypto/algorithms.h"
#include "core/crypto/crypto_error.h"
#include "core/memory/cleanse.h"
#include "core/memory/openssl_memory.h"

namespace nomyo {
namespace {

// EVP counts in int, so long data goes in parts; in a cancelled job no further one is begun. A part takes a fraction of
// a millisecond.
constexpr std::size_t kPart = std::size_t{1} << 20;

template <class Update>
bool InPlace(std::span<std::uint8_t> data, const Cancellation* cancellation, Update update) {
  for (std::size_t done = 0; done < data.size();) {
    if (IsCancelled(cancellation)) return false;
    const auto part = static_cast<int>(std::min(kPart, data.size() - done));
    int written = 0;
    if (update(data.data() + done, &written, part) != 1 || written != part) return false;
    done += static_cast<std::size_t>(part);
  }
  return true;
}

}  // namespace

Result<AesGcmEncryptor> AesGcmEncryptor::Start(std::span<const std::uint8_t, kAesKeyBytes> key,
                                               std::span<const std::uint8_t, kGcmNonceBytes> nonce) {
  ClearOpenSslError();
  EvpCipherCtx context(EVP_CIPHER_CTX_new());
  // GCM's nonce length is 12 bytes unless one says otherwise.
  if (!context ||
      EVP_EncryptInit_ex2(context.get(), Algorithms::Get().aes_256_gcm, key.data(), nonce.data(), nullptr) != 1) {
    return CryptoError("AES-256-GCM encryption");
  }
  return AesGcmEncryptor(std::move(context));
}

Status AesGcmEncryptor::Encrypt(std::span<std::uint8_t> data) {
  const bool done = InPlace(data, nullptr, [this](std::uint8_t* at, int* written, int part) {
    return EVP_EncryptUpdate(context_.get(), at, written, at, part);
  });
  if (done) return Status::Ok();
  Cleanse(data.data(), data.size());
  return CryptoError("AES-256-GCM encryption");
}

Status AesGcmEncryptor::Finish(std::span<std::uint8_t, kGcmTagBytes> tag) {
  std::uint8_t none[16];
  int written = 0;
  if (EVP_EncryptFinal_ex(context_.get(), none, &written) != 1 ||
      EVP_CIPHER_CTX_ctrl(context_.get(), EVP_CTRL_AEAD_GET_TAG, kGcmTagBytes, tag.data()) != 1) {
    return CryptoError("AES-256-GCM encryption");
  }
  return Status::Ok();
}

Status AesGcmDecrypt(std::span<const std::uint8_t, kAesKeyBytes> key,
                     std::span<const std::uint8_t, kGcmNonceBytes> nonce,
                     std::span<const std::uint8_t, kGcmTagBytes> tag, std::span<std::uint8_t> data,
                     const Cancellation* cancellation) {
  std::array<std::uint8_t, kGcmTagBytes> expected{};
  std::copy(tag.begin(), tag.end(), expected.begin());
  ClearOpenSslError();
  EvpCipherCtx context(EVP_CIPHER_CTX_new());
  if (!context ||
      EVP_DecryptInit_ex2(context.get(), Algorithms::Get().aes_256_gcm, key.data(), nonce.data(), nullptr) != 1 ||
      EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_AEAD_SET_TAG, kGcmTagBytes, expected.data()) != 1 ||
      !InPlace(data, cancellation, [&context](std::uint8_t* at, int* written, int part) {
        return EVP_DecryptUpdate(context.get(), at, written, at, part);
      })) {
    Cleanse(data.data(), data.size());
    if (IsCancelled(cancellation)) return Error{Code::kCancelled, "The work was cancelled."};
    return CryptoError("AES-256-GCM decryption");
  }
  std::uint8_t none[16];
  int written = 0;
  if (EVP_DecryptFinal_ex(context.get(), none, &written) != 1) {
    Cleanse(data.data(), data.size());
    return OpenSslError({Code::kDecrypt, "The package does not open."});
  }
  return Status::Ok();
}

}  // namespace nomyo
