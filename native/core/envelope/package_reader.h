// ReadPackage: finds the fields of an encrypted package in its bytes, without building objects.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "core/cancellation.h"
#include "core/result.h"

namespace nomyo {

// PackageFields point into the package (or into `unescaped`, for a writer that escapes '/'); nothing is decoded yet.
struct PackageFields {
  std::string_view ciphertext;
  std::string_view nonce;
  std::string_view tag;
  std::string_view encrypted_aes_key;
  std::optional<double> processed_at;  // unix seconds
  std::deque<std::string> unescaped;
};

// ReadPackage is strict: UTF-8 JSON of one object, with every required field there, once, and a string, version and
// algorithm known, key_algorithm and payload_algorithm the protocol's where they are present. No field that it knows
// may be there twice, however its name is escaped. Fields that it does not know are ignored, also when several have the
// same name: nothing is made of them, so there is nothing to be misled about, and no memory is spent on them. The time
// it takes is in proportion to the bytes. Errors: kPackageFormat, kPackageAlgorithm, kCancelled, kMemoryLock,
// kOutOfMemory. Any thread.
Result<PackageFields> ReadPackage(std::span<const std::uint8_t> package, const Cancellation* cancellation = nullptr);

}  // namespace nomyo
