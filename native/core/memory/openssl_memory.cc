// RAND_METHOD is deprecated in favour of providers, but a provider's generator keeps a state, and this has none.
#define OPENSSL_SUPPRESS_DEPRECATED

#include "core/memory/openssl_memory.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/rand.h>

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "core/memory/cleanse.h"
#include "core/memory/kernel_random.h"
#include "core/memory/locked_pool.h"
#include "core/memory/locking.h"
#include "core/memory/ordinary_size.h"

namespace nomyo {
namespace {

thread_local bool keep_out = false;  // while an OrdinaryOpenSslMemory lives
thread_local LockedPool::Refusal refused;
thread_local std::size_t refused_bytes = 0;
std::atomic<bool> in_pool{false};

void* PoolMalloc(std::size_t size, const char*, int) {
  if (size == 0) return nullptr;
  if (keep_out) {
    void* const memory = std::malloc(size);
    if (memory == nullptr) {
      refused = LockedPool::Refusal::kMemory;
      refused_bytes = size;
    }
    return memory;
  }
  LockedPool::Refusal refusal{};
  void* memory = LockedPool::Instance().Allocate(size, CurrentLocking(), &refusal);
  if (memory == nullptr) {
    refused = refusal;
    refused_bytes = size;
  }
  return memory;
}

void PoolFree(void* memory, const char*, int) {
  if (memory == nullptr) return;
  LockedPool& pool = LockedPool::Instance();
  if (pool.Owns(memory)) {
    pool.Free(memory);
    return;
  }
  // OpenSSL may have kept something in a table that it made while it initialised.
  Cleanse(memory, OrdinarySize(memory));
  std::free(memory);
}

void* PoolRealloc(void* memory, std::size_t size, const char* file, int line) {
  if (memory == nullptr) return PoolMalloc(size, file, line);
  if (size == 0) {
    PoolFree(memory, file, line);
    return nullptr;
  }
  // Always a new allocation: the C library's realloc would leave an unwiped copy where it moves. A table that OpenSSL
  // made while it initialised (of algorithms, of the threads to tell when they end) stays in ordinary memory when it
  // grows: what it holds is of the same kind as before, and locked memory must not grow with the number of threads.
  LockedPool& pool = LockedPool::Instance();
  const bool outside = !pool.Owns(memory);
  const std::size_t former = outside ? OrdinarySize(memory) : pool.SizeOf(memory);
  void* moved = outside ? std::malloc(size) : PoolMalloc(size, file, line);
  if (moved == nullptr) return nullptr;  // `memory` stays valid, as realloc has it
  std::memcpy(moved, memory, former < size ? former : size);
  PoolFree(memory, file, line);
  return moved;
}

int RandomBytes(unsigned char* out, int size) {
  return size >= 0 && KernelRandom({out, static_cast<std::size_t>(size)}) ? 1 : 0;
}

int RandomStatus() {
  return 1;
}

const RAND_METHOD kKernelRandomMethod = {nullptr, RandomBytes, nullptr, nullptr, RandomBytes, RandomStatus};

Status Install() {
  if (CRYPTO_set_mem_functions(PoolMalloc, PoolRealloc, PoolFree) != 1) {
    return Error{Code::kUnsupported,
                 "OpenSSL allocated memory before nomyo-native could give it locked memory, so its keys would not be "
                 "protected. The addon must be loaded from its own file, built by this package's CMake definition."};
  }
  in_pool = true;
  const OrdinaryOpenSslMemory ordinary;
  // NO_ATEXIT: threads may be at work while the process exits, and must not find OpenSSL torn down under them.
  const bool ok = OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG | OPENSSL_INIT_NO_ATEXIT, nullptr) == 1 &&
                  RAND_set_rand_method(&kKernelRandomMethod) == 1;
  return ok ? Status::Ok() : Error{Code::kCrypto, "OpenSSL could not be initialised."};
}

}  // namespace

Status InstallOpenSslMemory() {
  static const Status outcome = Install();
  return outcome;
}

OrdinaryOpenSslMemory::OrdinaryOpenSslMemory() noexcept {
  keep_out = true;
}

OrdinaryOpenSslMemory::~OrdinaryOpenSslMemory() {
  // Before the switch: the queue is freed by address, but nothing new may be made of it in ordinary memory.
  ReleaseOpenSslThreadState();
  keep_out = false;
}

bool OpenSslInPool() noexcept {
  return in_pool;
}

Error OpenSslError(Error otherwise) {
  const LockedPool::Refusal refusal = refused;
  const std::size_t bytes = refused_bytes;
  ClearOpenSslError();
  return refusal == LockedPool::Refusal::kNone ? std::move(otherwise) : LockedPool::Instance().Explain(refusal, bytes);
}

bool OpenSslWasRefusedMemory() noexcept {
  return refused != LockedPool::Refusal::kNone;
}

void ClearOpenSslError() noexcept {
  // Where memory is short this may be refused the queue itself, which is no news.
  ERR_clear_error();
  refused = LockedPool::Refusal::kNone;
}

void ReleaseOpenSslThreadState() noexcept {
  OPENSSL_thread_stop();
}

}  // namespace nomyo
