#include "core/tpm/structures.h"

#include <algorithm>
#include <cstring>

#include "core/tpm/structure_walk.h"

namespace nomyo {
namespace {

// Offsets in TPMS_ATTEST (Part 2 10.12.12): magic, then type.
constexpr std::size_t kTypeOffset = 4;
constexpr std::size_t kHeaderBytes = 6;

std::uint32_t BigEndian(ByteView bytes, std::size_t offset, std::size_t size) {
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < size; ++i) value = value << 8 | bytes[offset + i];
  return value;
}

// RoundTrips is the rule. `out` is zeroed first: the library leaves what it does not read untouched, unions included.
template <class Structure, class Unmarshal, class Marshal>
bool RoundTrips(ByteView bytes, Unmarshal unmarshal, Marshal marshal, Structure& out) {
  std::memset(&out, 0, sizeof out);
  std::size_t consumed = 0;
  if (unmarshal(bytes.data(), bytes.size(), &consumed, &out) != TSS2_RC_SUCCESS || consumed != bytes.size()) {
    return false;
  }
  Bytes again(bytes.size());
  std::size_t written = 0;
  return marshal(&out, again.data(), again.size(), &written) == TSS2_RC_SUCCESS && written == bytes.size() &&
         std::ranges::equal(again, bytes);
}

Error Malformed(const char* what) {
  return {Code::kInvalidArgument, what};
}

// Unframe finds TPMS_ATTEST, bare or behind a 16-bit size. No structure under the size limit can be both: a size of
// ff54 would be over it.
ByteView Unframe(ByteView bytes) {
  const auto starts_at = [&](std::size_t offset) {
    return bytes.size() >= offset + kHeaderBytes && BigEndian(bytes, offset, 4) == TPM2_GENERATED_VALUE;
  };
  const auto is_quote_at = [&](std::size_t offset) {
    return bytes.size() >= offset + kHeaderBytes && BigEndian(bytes, offset + kTypeOffset, 2) == TPM2_ST_ATTEST_QUOTE;
  };
  const bool sized = bytes.size() >= 2 && BigEndian(bytes, 0, 2) == bytes.size() - 2;
  if (starts_at(0)) return bytes;
  if (sized && starts_at(2)) return bytes.subspan(2);
  // Without the magic, only what says that it is a quote is worth looking at.
  if (is_quote_at(0)) return bytes;
  if (sized && is_quote_at(2)) return bytes.subspan(2);
  return {};
}

}  // namespace

Result<QuoteStructure> ReadQuote(const TssMu& mu, ByteView bytes) {
  QuoteStructure quote{};
  quote.bytes = Unframe(bytes);
  if (quote.bytes.empty()) {
    return Malformed("The quote is neither TPMS_ATTEST nor TPM2B_ATTEST of the right size.");
  }
  quote.magic = BigEndian(quote.bytes, 0, 4);
  quote.type = static_cast<std::uint16_t>(BigEndian(quote.bytes, kTypeOffset, 2));
  if (!quote.is_quote()) return quote;
  // The rest is judged alike whatever the magic is.
  Bytes copy(quote.bytes.begin(), quote.bytes.end());
  for (std::size_t i = 0; i < 4; ++i) copy[i] = static_cast<std::uint8_t>(TPM2_GENERATED_VALUE >> (24 - 8 * i));
  if (!WalksAsQuote(copy) || !RoundTrips(copy, mu.attest_unmarshal, mu.attest_marshal, quote.attest)) {
    return Malformed("The quote is cut, too long, or not a TPMS_ATTEST structure.");
  }
  return quote;
}

Result<TPMT_SIGNATURE> ReadSignature(const TssMu& mu, ByteView bytes) {
  TPMT_SIGNATURE signature;
  if (!WalksAsSignature(bytes) || !RoundTrips(bytes, mu.signature_unmarshal, mu.signature_marshal, signature)) {
    return Malformed("The signature is cut, too long, or not a TPMT_SIGNATURE structure.");
  }
  return signature;
}

Result<PublicArea> ReadPublicArea(const TssMu& mu, ByteView bytes) {
  PublicArea aik;
  if (bytes.size() < 2 || BigEndian(bytes, 0, 2) != bytes.size() - 2) {
    return Malformed("The AIK is not a TPM2B_PUBLIC structure of the right size.");
  }
  aik.bytes = bytes.subspan(2);
  if (!WalksAsPublic(aik.bytes) || !RoundTrips(aik.bytes, mu.public_unmarshal, mu.public_marshal, aik.area)) {
    return Malformed("The AIK is cut, too long, or not a TPM2B_PUBLIC structure.");
  }
  return aik;
}

}  // namespace nomyo
