// CryptoError: the error for an OpenSSL call that failed where only a defect or no memory explains it.
#pragma once

#include "core/result.h"

namespace nomyo {

// CryptoError names `what` failed (a few words, e.g. "RSA key generation") with kCrypto; or says kMemoryLock or
// kOutOfMemory when the pool refused OpenSSL memory. Empties the calling thread's OpenSSL error queue.
Error CryptoError(const char* what);

}  // namespace nomyo
