#include "core/crypto/pem.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include <openssl/evp.h>

namespace nomyo {
namespace {

constexpr std::string_view kBegin = "-----BEGIN ";
constexpr std::string_view kEnd = "-----END ";
constexpr std::string_view kDashes = "-----";
constexpr std::string_view kSpace = " \t\r\n";
// A 16 384-bit RSA key in PEM has about 13 000 bytes.
constexpr std::size_t kLongestPem = std::size_t{64} * 1024;

Error Bad(const char* message) {
  return {Code::kKeyFormat, message};
}

std::string_view Trim(std::string_view text) {
  const std::size_t first = text.find_first_not_of(kSpace);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kSpace) - first + 1);
}

bool IsBase64(char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' || c == '/';
}

}  // namespace

Result<PemBlock> ReadPem(std::span<const std::uint8_t> bytes) {
  if (bytes.size() > kLongestPem) return Bad("The key is longer than any PEM key can be.");
  const std::string_view text = Trim({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
  if (!text.starts_with(kBegin)) return Bad("The key is not PEM: it must start with '-----BEGIN'.");
  const std::size_t label_end = text.find(kDashes, kBegin.size());
  if (label_end == std::string_view::npos) return Bad("The key's PEM header line is broken.");
  const std::string label(text.substr(kBegin.size(), label_end - kBegin.size()));
  if (label.size() > 64 || !std::all_of(label.begin(), label.end(), [](char c) { return c >= ' ' && c <= '~'; })) {
    return Bad("The key's PEM header line is broken.");
  }
  const std::string footer = std::string(kEnd) + label + std::string(kDashes);
  if (!text.ends_with(footer)) return Bad("The key's PEM footer is missing, or does not match its header.");
  const std::size_t body_start = label_end + kDashes.size();
  if (text.size() < body_start + footer.size()) return Bad("The key's PEM footer is missing.");
  const std::string_view body = text.substr(body_start, text.size() - body_start - footer.size());
  if (body.find('-') != std::string_view::npos) return Bad("The key must be exactly one PEM block.");
  if (body.find(':') != std::string_view::npos) {
    return Bad("The key's PEM has headers (an old OpenSSL password form). Convert it: openssl pkcs8 -topk8.");
  }

  auto squeezed = SecureBuffer::Allocate(body.size());
  if (!squeezed) return squeezed.error();
  std::size_t length = 0;
  for (const char c : body) {
    if (kSpace.find(c) == std::string_view::npos) squeezed->data()[length++] = static_cast<std::uint8_t>(c);
  }
  std::size_t padding = 0;
  while (padding < 2 && padding < length && squeezed->data()[length - 1 - padding] == '=') ++padding;
  const auto is_base64 = [](std::uint8_t c) { return IsBase64(static_cast<char>(c)); };
  if (length == 0 || length % 4 != 0 ||
      !std::all_of(squeezed->data(), squeezed->data() + length - padding, is_base64)) {
    return Bad("The key's PEM body is not base64.");
  }
  auto der = SecureBuffer::Allocate(length / 4 * 3);
  if (!der) return der.error();
  if (EVP_DecodeBlock(der->data(), squeezed->data(), static_cast<int>(length)) < 0) {
    return Bad("The key's PEM body is not base64.");
  }
  der->Truncate(der->size() - padding);
  return PemBlock{label, std::move(*der)};
}

Result<SecureBuffer> WritePem(std::string_view label, std::span<const std::uint8_t> der) {
  constexpr std::size_t kLineBytes = 48;  // 64 characters
  const std::string first = std::string(kBegin) + std::string(label) + "-----\n";
  const std::string last = std::string(kEnd) + std::string(label) + "-----\n";
  const std::size_t lines = (der.size() + kLineBytes - 1) / kLineBytes;
  const std::size_t characters = (der.size() + 2) / 3 * 4;
  // One byte more: EVP_EncodeBlock ends its output with a zero.
  auto text = SecureBuffer::Allocate(first.size() + characters + lines + last.size() + 1);
  if (!text) return text.error();
  std::uint8_t* out = std::copy(first.begin(), first.end(), text->data());
  for (std::size_t at = 0; at < der.size(); at += kLineBytes) {
    out += EVP_EncodeBlock(out, der.data() + at, static_cast<int>(std::min(kLineBytes, der.size() - at)));
    *out++ = '\n';
  }
  std::copy(last.begin(), last.end(), out);
  text->Truncate(text->size() - 1);
  return text;
}

}  // namespace nomyo
