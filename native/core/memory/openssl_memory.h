// OpenSSL inside the pool: its allocator and its random source. It names no algorithm: core/crypto/algorithms.h does.
#pragma once

#include <string>

#include "core/result.h"

namespace nomyo {

// InstallOpenSslMemory routes all of libcrypto's allocations to LockedPool and makes the kernel its random generator.
// It must come before every other call of OpenSSL in the process's copy of libcrypto; later calls do nothing and return
// the first outcome. Any thread. Fails with kUnsupported when OpenSSL has allocated before and with kCrypto when it
// does not initialise; nothing that uses OpenSSL may run then.
//
// No configuration file is read: one could load foreign providers. No random generator's state is a secret either: each
// request for random bytes goes to the kernel, straight into the caller's memory. (RSA generation makes OpenSSL's own
// generators, to ask for their strength; nothing is drawn from them.)
Status InstallOpenSslMemory();

// OrdinaryOpenSslMemory: while one lives, what OpenSSL allocates on the calling thread is ordinary memory, not the
// pool's; free and realloc tell the two apart by address. It is for what OpenSSL makes once and keeps for the life of
// the process (tables of algorithms, encoders, decoders), and for what it makes of a quote: neither holds a secret. No
// key may be made or read meanwhile but a public one, or one that protects nothing. The end drops what OpenSSL keeps
// for the thread, so that its next error queue is the pool's. One at a time on a thread.
class OrdinaryOpenSslMemory {
 public:
  OrdinaryOpenSslMemory() noexcept;
  ~OrdinaryOpenSslMemory();
  OrdinaryOpenSslMemory(const OrdinaryOpenSslMemory&) = delete;
  OrdinaryOpenSslMemory& operator=(const OrdinaryOpenSslMemory&) = delete;
};

// OpenSslInPool says whether OpenSSL's allocations go to the pool. Any thread.
bool OpenSslInPool() noexcept;

// OpenSslError makes an error for an OpenSSL call that has just failed on this thread, and clears OpenSSL's error
// queue: kMemoryLock or kOutOfMemory when the pool refused OpenSSL memory since ClearOpenSslError(), else `otherwise`.
Error OpenSslError(Error otherwise);

// OpenSslWasRefusedMemory says whether the pool refused OpenSSL memory on this thread since ClearOpenSslError().
bool OpenSslWasRefusedMemory() noexcept;

// ClearOpenSslError empties this thread's error queue and forgets a refusal; called before a sequence of OpenSSL calls.
void ClearOpenSslError() noexcept;

// ReleaseOpenSslThreadState gives back what OpenSSL keeps for the calling thread: its error queue, whose texts outlive
// ERR_clear_error, and its generators. It is made again when it is needed. Any thread.
void ReleaseOpenSslThreadState() noexcept;

}  // namespace nomyo
