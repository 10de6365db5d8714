// RAND_METHOD is deprecated in favour of providers, but a provider's generator keeps a state, and this has none.
#define OPENSSL_SUPPRESS_DEPRECATED

#include "core/memory/openssl_memory.h"

#include <openssl/bio.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/decoder.h>
#include <openssl/encoder.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/pem.h>
#include <openssl/rand.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <mutex>
#include <utility>

#if defined(__APPLE__)
#include <malloc/malloc.h>
#else
#include <malloc.h>
#endif

#include "core/memory/cleanse.h"
#include "core/memory/kernel_random.h"
#include "core/memory/lock_policy.h"
#include "core/memory/locked_pool.h"

namespace nomyo {
namespace {

thread_local bool initialising = false;
thread_local LockedPool::Refusal refused;
thread_local std::size_t refused_bytes = 0;
std::atomic<bool> in_pool{false};

std::size_t OrdinarySize(void* memory) {
#if defined(__APPLE__)
  return malloc_size(memory);
#elif defined(_WIN32)
  return _msize(memory);
#else
  return malloc_usable_size(memory);
#endif
}

void* PoolMalloc(std::size_t size, const char*, int) {
  if (size == 0) return nullptr;
  if (initialising) return std::malloc(size);
  LockedPool::Refusal refusal{};
  void* memory = LockedPool::Instance().Allocate(size, CurrentLockPolicy(), &refusal);
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
  const bool ordinary = !pool.Owns(memory);
  const std::size_t former = ordinary ? OrdinarySize(memory) : pool.SizeOf(memory);
  void* moved = ordinary ? std::malloc(size) : PoolMalloc(size, file, line);
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

struct InitialisingScope {
  InitialisingScope() { initialising = true; }
  ~InitialisingScope() { initialising = false; }
};

// Fetched algorithms are kept for the life of the process: the first fetch of each fills OpenSSL's tables, and a later
// one finds them there.
struct Algorithms {
  EVP_CIPHER* ciphers[2];
  EVP_MD* digests[4];
  EVP_MAC* hmac;
  EVP_KDF* pbkdf2;
  EVP_KEYMGMT* key_kinds[2];
  EVP_SIGNATURE* signatures[2];
  EVP_ASYM_CIPHER* rsa;
};
Algorithms* kept = nullptr;

bool FetchAlgorithms() {
  kept = new Algorithms{
      {EVP_CIPHER_fetch(nullptr, "AES-256-GCM", nullptr), EVP_CIPHER_fetch(nullptr, "AES-256-CBC", nullptr)},
      {EVP_MD_fetch(nullptr, "SHA1", nullptr), EVP_MD_fetch(nullptr, "SHA2-256", nullptr),
       EVP_MD_fetch(nullptr, "SHA2-384", nullptr), EVP_MD_fetch(nullptr, "SHA2-512", nullptr)},
      EVP_MAC_fetch(nullptr, "HMAC", nullptr),
      EVP_KDF_fetch(nullptr, "PBKDF2", nullptr),
      {EVP_KEYMGMT_fetch(nullptr, "RSA", nullptr), EVP_KEYMGMT_fetch(nullptr, "EC", nullptr)},
      {EVP_SIGNATURE_fetch(nullptr, "RSA", nullptr), EVP_SIGNATURE_fetch(nullptr, "ECDSA", nullptr)},
      EVP_ASYM_CIPHER_fetch(nullptr, "RSA", nullptr)};
  const auto all = [](const auto& list) {
    return std::all_of(std::begin(list), std::end(list), [](const auto* each) { return each != nullptr; });
  };
  return all(kept->ciphers) && all(kept->digests) && kept->hmac != nullptr && kept->pbkdf2 != nullptr &&
         all(kept->key_kinds) && all(kept->signatures) && kept->rsa != nullptr;
}

// A throw-away key is generated, written and read in every form that the package uses, encrypted and not, so that
// encoders, decoders and their caches exist before the first real one. It protects nothing.
bool RehearseKeys() {
  EVP_PKEY* key = nullptr;
  EVP_PKEY_CTX* context = EVP_PKEY_CTX_new_from_name(nullptr, "EC", nullptr);
  bool ok = context != nullptr && EVP_PKEY_keygen_init(context) == 1 &&
            EVP_PKEY_CTX_set_group_name(context, "P-256") == 1 && EVP_PKEY_generate(context, &key) == 1;
  EVP_PKEY_CTX_free(context);
  char password[] = "rehearsal";
  for (const bool encrypted : {false, true}) {
    BIO* pem = BIO_new(BIO_s_mem());
    EVP_PKEY* again = nullptr;
    ok = ok && pem != nullptr &&
         PEM_write_bio_PKCS8PrivateKey(pem, key, encrypted ? EVP_aes_256_cbc() : nullptr, nullptr, 0, nullptr,
                                       encrypted ? password : nullptr) == 1;
    ok = ok && (again = PEM_read_bio_PrivateKey(pem, nullptr, nullptr, password)) != nullptr;
    EVP_PKEY_free(again);
    BIO_free(pem);
  }
  BIO* pem = BIO_new(BIO_s_mem());
  EVP_PKEY* again = nullptr;
  ok = ok && pem != nullptr && PEM_write_bio_PUBKEY(pem, key) == 1;
  ok = ok && (again = PEM_read_bio_PUBKEY(pem, nullptr, nullptr, nullptr)) != nullptr;
  EVP_PKEY_free(again);
  BIO_free(pem);
  EVP_PKEY_free(key);
  return ok;
}

Status Install() {
  if (CRYPTO_set_mem_functions(PoolMalloc, PoolRealloc, PoolFree) != 1) {
    return Error{Code::kUnsupported,
                 "OpenSSL allocated memory before nomyo-native could give it locked memory, so its keys would not be "
                 "protected. The addon must be loaded from its own file, built by this package's CMake definition."};
  }
  in_pool = true;
  InitialisingScope scope;
  // NO_ATEXIT: threads may be at work while the process exits, and must not find OpenSSL torn down under them.
  const bool ok = OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG | OPENSSL_INIT_NO_ATEXIT, nullptr) == 1 &&
                  RAND_set_rand_method(&kKernelRandomMethod) == 1;
  ReleaseOpenSslThreadState();
  return ok ? Status::Ok() : Error{Code::kCrypto, "OpenSSL could not be initialised."};
}

Status Prepare() {
  if (Status installed = InstallOpenSslMemory(); !installed) return installed;
  InitialisingScope scope;
  const bool ok = OPENSSL_init_crypto(OPENSSL_INIT_LOAD_CRYPTO_STRINGS | OPENSSL_INIT_ADD_ALL_CIPHERS |
                                          OPENSSL_INIT_ADD_ALL_DIGESTS | OPENSSL_INIT_NO_LOAD_CONFIG,
                                      nullptr) == 1 &&
                  FetchAlgorithms() && RehearseKeys();
  ERR_clear_error();
  // What this thread's error queue made while initialising is dropped with it; a new one is the pool's.
  ReleaseOpenSslThreadState();
  if (!ok) return Error{Code::kCrypto, "OpenSSL could not be initialised: an algorithm that is needed is missing."};
  return Status::Ok();
}

}  // namespace

Status InstallOpenSslMemory() {
  static const Status outcome = Install();
  return outcome;
}

Status PrepareOpenSsl() {
  static const Status outcome = Prepare();
  return outcome;
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

void ClearOpenSslError() noexcept {
  // Where memory is short this may be refused the queue itself, which is no news.
  ERR_clear_error();
  refused = LockedPool::Refusal::kNone;
}

void ReleaseOpenSslThreadState() noexcept {
  OPENSSL_thread_stop();
}

}  // namespace nomyo
