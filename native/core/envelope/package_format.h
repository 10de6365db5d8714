// The names and fixed values of an encrypted package.
#pragma once

#include <string_view>

namespace nomyo::package_format {

inline constexpr std::string_view kVersion = "1.0";
inline constexpr std::string_view kAlgorithm = "hybrid-aes256-rsa4096";
inline constexpr std::string_view kKeyAlgorithm = "RSA-OAEP-SHA256";
inline constexpr std::string_view kPayloadAlgorithm = "AES-256-GCM";

}  // namespace nomyo::package_format
