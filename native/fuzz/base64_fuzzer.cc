// Whatever Base64Decode accepts, encoding gives back: decoding is canonical. Compared with OpenSSL's decoder.
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include <openssl/evp.h>

#include "core/json/base64.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto decoded = nomyo::Base64DecodedSize(text);
  // Of nothing there is nothing to compare.
  if (!decoded || size == 0) return 0;
  std::vector<std::uint8_t> bytes(*decoded);
  if (!nomyo::Base64Decode(text, bytes)) return 0;
  std::string again(nomyo::Base64EncodedSize(bytes.size()), '\0');
  nomyo::Base64Encode(bytes, again.data());
  if (again != text) std::abort();
  std::vector<std::uint8_t> reference(size + 1);
  const int length = EVP_DecodeBlock(reference.data(), data, static_cast<int>(size));
  if (length < 0 || std::memcmp(reference.data(), bytes.data(), bytes.size()) != 0) std::abort();
  return 0;
}
