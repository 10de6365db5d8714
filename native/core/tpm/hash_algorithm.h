// HashAlgorithm: the hashes of this package's attestation, by TPM identifier and by name; and digests made with them.
// Any thread.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <openssl/evp.h>

#include "core/result.h"

namespace nomyo {

using Bytes = std::vector<std::uint8_t>;
using ByteView = std::span<const std::uint8_t>;

// HashAlgorithm: SHA-1 and SHA-2. SHA-1 is here because PCR banks of it exist; nothing signed with it is accepted.
struct HashAlgorithm {
  std::uint16_t id;       // TPM_ALG_ID, Part 2 6.3
  std::string_view name;  // as tpm2-tools and `pcr_banks` write it
  std::size_t size;       // bytes of a digest
  const EVP_MD* (*md)();
};

// HashById and HashByName return an entry of a constant table, or null for what is not in it.
const HashAlgorithm* HashById(std::uint16_t id);
const HashAlgorithm* HashByName(std::string_view name);

// HashName returns the name of the table; the number, as `0x0012`, of what is not in it.
std::string HashName(std::uint16_t id);

// IsSignatureHash tells whether `id` is SHA-256, SHA-384 or SHA-512: what an AIK may sign with, and be named with.
bool IsSignatureHash(std::uint16_t id);

// Digest hashes the parts one after the other. Errors: kCrypto, kMemoryLock, kOutOfMemory.
Result<Bytes> Digest(const HashAlgorithm& hash, std::initializer_list<ByteView> parts);

// EqualBytes compares in constant time; different lengths are unequal.
bool EqualBytes(ByteView a, ByteView b);

// ToHex writes lower-case digits. FromHex reads either case; false when a character is none, or the count is odd.
std::string ToHex(ByteView bytes);
bool FromHex(std::string_view text, Bytes& bytes);

}  // namespace nomyo
