#include "core/crypto/crypto_error.h"

#include <string>

#include <openssl/err.h>

#include "core/memory/lock_policy.h"

namespace nomyo {

Error CryptoError(const char* what) {
  bool no_memory = false;
  while (const unsigned long code = ERR_get_error()) {
    if (ERR_GET_REASON(code) == ERR_R_MALLOC_FAILURE) no_memory = true;
  }
  if (!no_memory) return {Code::kCrypto, std::string("OpenSSL failed: ") + what + "."};
  if (CurrentLockPolicy() == LockPolicy::kRequired) {
    return {Code::kMemoryLock, std::string("No locked memory was left for ") + what +
                                   ". Raise the limit on locked memory (ulimit -l, LimitMEMLOCK=, --ulimit memlock)."};
  }
  return {Code::kOutOfMemory, std::string("No memory was left for ") + what + "."};
}

}  // namespace nomyo
