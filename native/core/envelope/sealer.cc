#include "core/envelope/sealer.h"

#include <algorithm>
#include <span>
#include <string>
#include <utility>

#include "core/envelope/package_format.h"
#include "core/json/base64.h"
#include "core/memory/kernel_random.h"

namespace nomyo {
namespace {

constexpr std::size_t kLeastBucket = 4096;
// The package around the three long base64 fields: names, labels, nonce, tag, a time. Some 300 bytes.
constexpr std::size_t kFrameBytes = 512;

std::string Base64Text(std::span<const std::uint8_t> bytes) {
  std::string text(Base64EncodedSize(bytes.size()), '\0');
  Base64Encode(bytes, text.data());
  return text;
}

void AddField(std::string& text, std::string_view name, std::string_view value) {
  text.append("\"").append(name).append("\":\"").append(value).append("\"");
}

}  // namespace

std::size_t PaddedSize(std::size_t size, std::size_t limit) noexcept {
  std::size_t bucket = kLeastBucket;
  while (bucket < size && bucket <= limit / 2) bucket *= 2;
  return size > limit ? size : bucket < size ? limit : std::min(bucket, limit);
}

Result<std::unique_ptr<Sealer>> Sealer::Start(KeyWrapper& recipient, const SealOptions& options) {
  const std::size_t expected =
      std::min(options.padding == Padding::kBucket ? PaddedSize(options.expected, options.limit) : options.expected,
               options.limit);
  PackageBytes package;
  if (!package.Reserve(Base64EncodedSize(expected) + Base64EncodedSize(recipient.wrapped_bytes()) + kFrameBytes)) {
    return Error{Code::kOutOfMemory, "No memory was left for the package."};
  }
  std::unique_ptr<Sealer> sealer(new Sealer(options, std::move(package)));
  auto key = SecureBuffer::Allocate(kAesKeyBytes);
  if (!key) return key.error();
  const std::span<std::uint8_t, kAesKeyBytes> key_bytes(key->data(), kAesKeyBytes);
  sealer->wrapped_key_bytes_ = recipient.wrapped_bytes();
  sealer->wrapped_key_ = std::make_unique<std::uint8_t[]>(recipient.wrapped_bytes());
  const Status status = recipient.Take(key_bytes, {sealer->wrapped_key_.get(), recipient.wrapped_bytes()});
  if (!status) return status.error();
  if (!KernelRandom(sealer->nonce_)) return Error{Code::kCrypto, "The operating system gave no random bytes."};
  auto encryptor = AesGcmEncryptor::Start(key_bytes, sealer->nonce_);
  if (!encryptor) return encryptor.error();
  auto stream = PlaintextStream::Start(std::move(*encryptor), sealer->package_, expected, options.limit);
  if (!stream) return stream.error();
  if (!options.digest_key.empty()) {
    auto hmac = HmacSha256::Start(options.digest_key);
    if (!hmac) return hmac.error();
    stream->DigestBy(std::move(*hmac));
  }
  sealer->options_.digest_key = {};
  sealer->digests_ = !options.digest_key.empty();
  sealer->stream_.emplace(std::move(*stream));
  sealer->writer_.emplace(*sealer->stream_);
  namespace format = package_format;
  std::string head = "{";
  AddField(head, "version", format::kVersion);
  AddField(head.append(","), "algorithm", format::kAlgorithm);
  sealer->package_.Append(head.append(",\"encrypted_payload\":{\"ciphertext\":\""));
  return sealer;
}

Result<PackageBytes> Sealer::Finish() {
  std::uint8_t tag[kGcmTagBytes];
  if (digests_) {
    auto digest = stream_->EndDigest();
    if (!digest) return digest.error();
    digest_ = *digest;
  }
  if (options_.padding == Padding::kBucket) {
    const std::size_t size = stream_->total();
    const Status status = stream_->Fill(' ', PaddedSize(size, options_.limit) - size);
    if (!status) return status.error();
  }
  const Status status = stream_->Finish(tag);
  if (!status) return status.error();
  namespace format = package_format;
  std::string rest = "\",";
  AddField(rest, "nonce", Base64Text(nonce_));
  AddField(rest.append(","), "tag", Base64Text(tag));
  AddField(rest.append("},"), "encrypted_aes_key", Base64Text({wrapped_key_.get(), wrapped_key_bytes_}));
  AddField(rest.append(","), "key_algorithm", format::kKeyAlgorithm);
  AddField(rest.append(","), "payload_algorithm", format::kPayloadAlgorithm);
  if (options_.processed_at) rest.append(",\"processed_at\":").append(std::to_string(*options_.processed_at));
  rest.append("}");
  if (!package_.Reserve(rest.size())) return Error{Code::kOutOfMemory, "No memory was left for the package."};
  package_.Append(rest);
  return std::move(package_);
}

}  // namespace nomyo
