// OpenSSL inside the pool: its allocator, its random source, and its one-time initialisation.
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

// PrepareOpenSsl makes everything that OpenSSL makes once and keeps (provider tables, error strings, fetched
// algorithms, encoders and decoders: half a megabyte that holds no secret) as ordinary memory; free and realloc tell it
// from the pool's by address. Everything later is the pool's, under the LockPolicy of the thread that allocates.
//
// It takes some 4 ms, which is why it is not a part of InstallOpenSslMemory: a process may load the addon and never use
// it, and a client's first use is its key, on a thread of its own. Called before a thread's first use of OpenSSL; calls
// at the same time wait for the first, later ones do nothing and return its outcome. A use without it is as safe, but
// leaves the tables in locked memory. Any thread. Installs the memory first, and fails as that does, or with kCrypto
// when an algorithm that is needed is missing.
Status PrepareOpenSsl();

// OpenSslInPool says whether OpenSSL's allocations go to the pool.
bool OpenSslInPool() noexcept;

// OpenSslError makes an error for an OpenSSL call that has just failed on this thread, and clears OpenSSL's error
// queue: kMemoryLock or kOutOfMemory when the pool refused OpenSSL memory since ClearOpenSslError(), else `otherwise`.
Error OpenSslError(Error otherwise);

// ClearOpenSslError empties this thread's error queue and forgets a refusal; called before a sequence of OpenSSL calls.
void ClearOpenSslError() noexcept;

// ReleaseOpenSslThreadState gives back what OpenSSL keeps for the calling thread: its error queue, whose texts outlive
// ERR_clear_error, and its generators. It is made again when it is needed. Any thread.
void ReleaseOpenSslThreadState() noexcept;

}  // namespace nomyo
