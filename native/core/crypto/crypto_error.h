// CryptoError: the error for an OpenSSL call that failed where only a defect or no memory explains it.
#pragma once

#include "core/result.h"

namespace nomyo {

// CryptoError empties the calling thread's OpenSSL error queue, so that a later call does not report this failure, and
// names `what` (a few words, e.g. "RSA key generation"). When the queue says that an allocation failed, the error is
// kMemoryLock under LockPolicy::kRequired, since that is what starves OpenSSL here, else kOutOfMemory.
Error CryptoError(const char* what);

}  // namespace nomyo
