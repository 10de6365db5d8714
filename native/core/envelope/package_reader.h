// ReadPackage: finds the fields of an encrypted package in its bytes, without building objects.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <string>
#include <string_view>

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

// ReadPackage is strict: UTF-8 JSON of one object without duplicate names, with every required field there and a
// string, version and algorithm known, key_algorithm and payload_algorithm the protocol's where they are present.
// Fields that it does not know are ignored. Errors: kPackageFormat, kPackageAlgorithm. Any thread.
Result<PackageFields> ReadPackage(std::span<const std::uint8_t> package);

}  // namespace nomyo
