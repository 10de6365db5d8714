#include "core/envelope/plaintext_stream.h"

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>

#include "core/json/base64.h"

namespace nomyo {
namespace {

constexpr std::size_t kGroup = 48;

}  // namespace

Result<PlaintextStream> PlaintextStream::Start(AesGcmEncryptor encryptor, PackageBytes& package, std::size_t expected,
                                               std::size_t limit) {
  const std::size_t wanted = (std::min(expected, kBlockBytes) + kLeastRoom + 2 * kGroup) / kGroup * kGroup;
  auto block = SecureBuffer::Allocate(std::min(wanted, kBlockBytes));
  if (!block) return block.error();
  return PlaintextStream(std::move(encryptor), package, std::move(*block), limit);
}

Status PlaintextStream::Flush(std::size_t count) {
  flushed_ += count;
  used_ -= count;
  if (total() > limit_) {
    return Error{Code::kTooLarge, "The request is too large: its JSON may have " + std::to_string(limit_) +
                                      " bytes at most. Send less."};
  }
  if (hmac_) {
    if (Status digested = hmac_->Update(block_.bytes().first(count)); !digested) return digested;
  }
  Status status = encryptor_.Encrypt(block_.bytes().first(count));
  if (!status) return status;
  const std::size_t characters = Base64EncodedSize(count);
  if (!package_->Reserve(characters)) return Error{Code::kOutOfMemory, "No memory was left for the package."};
  Base64Encode(block_.bytes().first(count), reinterpret_cast<char*>(package_->Extend(characters)));
  // Less than a group stays for the next round.
  std::memmove(block_.data(), block_.data() + count, used_);
  return Status::Ok();
}

Status PlaintextStream::Drain() {
  return Flush(used_ / kGroup * kGroup);
}

Result<std::array<std::uint8_t, kSha256Bytes>> PlaintextStream::EndDigest() {
  // What lies in the block has not been digested yet: Flush does it.
  if (Status status = hmac_->Update(block_.bytes().first(used_)); !status) return status.error();
  auto digest = hmac_->Finish();
  hmac_.reset();
  return digest;
}

Status PlaintextStream::Fill(std::uint8_t byte, std::size_t count) {
  while (count != 0) {
    auto room = Room();
    if (!room) return room.error();
    const std::size_t part = std::min(room->size(), count);
    std::memset(room->data(), byte, part);
    Wrote(part);
    count -= part;
  }
  return Status::Ok();
}

Status PlaintextStream::Finish(std::span<std::uint8_t, kGcmTagBytes> tag) {
  Status status = Flush(used_);
  if (!status) return status;
  return encryptor_.Finish(tag);
}

}  // namespace nomyo
