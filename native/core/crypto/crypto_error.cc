#include "core/crypto/crypto_error.h"

#include <string>

#include "core/memory/openssl_memory.h"

namespace nomyo {

Error CryptoError(const char* what) {
  return OpenSslError({Code::kCrypto, std::string("OpenSSL failed: ") + what + "."});
}

}  // namespace nomyo
