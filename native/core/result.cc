#include "core/result.h"

namespace nomyo {

std::string_view CodeName(Code code) {
  switch (code) {
    case Code::kInvalidArgument: return "INVALID_ARGUMENT";
    case Code::kMemoryLock: return "MEMORY_LOCK";
    case Code::kOutOfMemory: return "OUT_OF_MEMORY";
    case Code::kDisposed: return "DISPOSED";
    case Code::kViewTaken: return "VIEW_TAKEN";
    case Code::kCrypto: return "CRYPTO_FAILURE";
    case Code::kKeyFormat: return "KEY_FORMAT";
    case Code::kKeyWeak: return "KEY_WEAK";
    case Code::kKeyPassword: return "KEY_PASSWORD";
    case Code::kPackageFormat: return "PACKAGE_FORMAT";
    case Code::kPackageAlgorithm: return "PACKAGE_ALGORITHM";
    case Code::kDecrypt: return "DECRYPT";
    case Code::kPlaintext: return "PLAINTEXT";
    case Code::kTooLarge: return "TOO_LARGE";
    case Code::kUtf8: return "INVALID_UTF8";
    case Code::kNotFound: return "NOT_FOUND";
    case Code::kCancelled: return "CANCELLED";
    case Code::kQueueFull: return "QUEUE_FULL";
    case Code::kUnsupported: return "UNSUPPORTED";
    case Code::kTssMissing: return "TSS_MISSING";
    case Code::kTpm: return "TPM_ERROR";
  }
  return "UNKNOWN";
}

Error ErrorWithoutThrow(Code code, const char* message) noexcept {
  try {
    return {code, message};
  } catch (...) {
    // Short enough to lie in the string itself.
    return {Code::kOutOfMemory, "Out of memory."};
  }
}

Error OutOfMemory() noexcept {
  return ErrorWithoutThrow(Code::kOutOfMemory, "The system has no memory to give.");
}

}  // namespace nomyo
