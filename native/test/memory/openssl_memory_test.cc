// OpenSSL inside the pool: what it allocates, how memory of the two kinds is told apart, and what a refusal becomes.
#include <gtest/gtest.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <thread>

#include "core/memory/locked_pool.h"
#include "core/memory/openssl_memory.h"

namespace nomyo {
namespace {

LockedPool& Pool() {
  return LockedPool::Instance();
}

TEST(OpenSslMemory, IsThePools) {
  EXPECT_TRUE(OpenSslInPool());
  void* memory = OPENSSL_malloc(100);
  ASSERT_NE(memory, nullptr);
  EXPECT_TRUE(Pool().Owns(memory));
  EXPECT_TRUE(Pool().IsLocked(memory));
  EXPECT_EQ(Pool().SizeOf(memory), 100u);
  OPENSSL_free(memory);
  OPENSSL_free(nullptr);
  EXPECT_EQ(OPENSSL_malloc(0), nullptr);
}

TEST(OpenSslMemory, ReallocKeepsTheContentsAndWipesWhatItLeaves) {
  auto* before = static_cast<unsigned char*>(OPENSSL_malloc(64));
  void* neighbour = OPENSSL_malloc(64);  // keeps the chunk
  std::memset(before, 0x5a, 64);
  auto* after = static_cast<unsigned char*>(OPENSSL_realloc(before, 5000));
  ASSERT_NE(after, nullptr);
  EXPECT_TRUE(Pool().Owns(after));
  for (int i = 0; i < 64; ++i) EXPECT_EQ(after[i], 0x5a);
#if !defined(__SANITIZE_ADDRESS__)
  for (int i = 0; i < 64; ++i) EXPECT_EQ(before[i], 0);
#endif
  auto* smaller = static_cast<unsigned char*>(OPENSSL_realloc(after, 10));
  EXPECT_EQ(Pool().SizeOf(smaller), 10u);
  for (int i = 0; i < 10; ++i) EXPECT_EQ(smaller[i], 0x5a);
  EXPECT_EQ(OPENSSL_realloc(smaller, 0), nullptr);  // frees
  void* fresh = OPENSSL_realloc(nullptr, 30);
  EXPECT_EQ(Pool().SizeOf(fresh), 30u);
  OPENSSL_free(fresh);
  OPENSSL_free(neighbour);
}

TEST(OpenSslMemory, NothingOfItsInitialisationIsInThePool) {
  // In a thread that has used nothing of OpenSSL's, in a process that has only initialised it.
  EXPECT_EXIT(
      {
        const auto stats = Pool().stats();
        std::printf("after initialisation: %zu allocations, %zu bytes in the pool\n", stats.allocations,
                    stats.bytes_in_use);
        _exit(stats.total_allocations == 0 ? 0 : 1);
      },
      testing::ExitedWithCode(0), "");
}

TEST(OpenSslMemory, AKeyGenerationLeavesNothingBehindAndItsLiveSetIsSmall) {
  EVP_PKEY_free(EVP_RSA_gen(2048));  // this thread's error queue and what else is made once
  const auto before = Pool().stats();
  EVP_PKEY* key = EVP_RSA_gen(2048);
  ASSERT_NE(key, nullptr);
  const auto during = Pool().stats();
  EVP_PKEY_free(key);
  const auto after = Pool().stats();
  std::printf("RSA-2048 generation: %zu allocations, peak %zu bytes; the key: %zu allocations, %zu bytes\n",
              during.total_allocations - before.total_allocations, during.bytes_peak - before.bytes_in_use,
              during.allocations - before.allocations, during.bytes_in_use - before.bytes_in_use);
  EXPECT_GT(during.total_allocations - before.total_allocations, 100u);
  EXPECT_LT(during.bytes_in_use - before.bytes_in_use, 64u * 1024);
  EXPECT_EQ(after.allocations, before.allocations);
  EXPECT_EQ(after.bytes_in_use, before.bytes_in_use);
}

TEST(OpenSslMemory, ADecryptionTakesLittleMemoryAndLeavesNothingBehind) {
  BIO* file = BIO_new_file(NOMYO_VECTORS_DIR "/keys/client_private.pem", "r");
  ASSERT_NE(file, nullptr);
  EVP_PKEY* key = PEM_read_bio_PrivateKey(file, nullptr, nullptr, nullptr);
  BIO_free(file);
  ASSERT_EQ(EVP_PKEY_get_bits(key), 4096);
  unsigned char sealed[512];
  unsigned char opened[512];
  const auto run = [&](auto init, auto work, unsigned char* out, const unsigned char* in, std::size_t in_size) {
    EVP_PKEY_CTX* context = EVP_PKEY_CTX_new(key, nullptr);
    std::size_t size = 512;
    EXPECT_EQ(init(context), 1);
    EXPECT_EQ(EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_OAEP_PADDING), 1);
    EXPECT_EQ(EVP_PKEY_CTX_set_rsa_oaep_md_name(context, "SHA256", nullptr), 1);
    EXPECT_EQ(work(context, out, &size, in, in_size), 1);
    EVP_PKEY_CTX_free(context);
    return size;
  };
  const unsigned char secret[32] = {7};
  ASSERT_EQ(run(EVP_PKEY_encrypt_init, EVP_PKEY_encrypt, sealed, secret, sizeof secret), 512u);
  // The first make the key's Montgomery contexts and blinding, which stay, and fill the thread's ring of 16 errors:
  // OpenSSL raises and drops some on its way.
  for (int warm = 0; warm < 20; ++warm) {
    ASSERT_EQ(run(EVP_PKEY_decrypt_init, EVP_PKEY_decrypt, opened, sealed, sizeof sealed), 32u);
  }
  const auto before = Pool().stats();
  ASSERT_EQ(run(EVP_PKEY_decrypt_init, EVP_PKEY_decrypt, opened, sealed, sizeof sealed), 32u);
  const auto after = Pool().stats();
  EXPECT_EQ(opened[0], 7);
  const std::size_t count = after.total_allocations - before.total_allocations;
  std::printf("RSA-4096 OAEP decryption: %zu allocations; a key of 4096 bits and all else that is live: %zu bytes\n",
              count, after.bytes_in_use);
  EXPECT_LT(count, 200u);
  EXPECT_EQ(after.allocations, before.allocations);
  EXPECT_EQ(after.bytes_in_use, before.bytes_in_use);
  EVP_PKEY_free(key);
}

TEST(OpenSslMemory, RandomBytesComeFromTheKernelAndNothingIsDrawnFromAGeneratorOfOpenSsls) {
  // RSA generation asks for the strength of OpenSSL's generators, which makes them. A draw from one that was taken out
  // of operation would set it going again.
  EVP_RAND_CTX* generators[] = {RAND_get0_primary(nullptr), RAND_get0_public(nullptr), RAND_get0_private(nullptr)};
  for (EVP_RAND_CTX* generator : generators) {
    ASSERT_NE(generator, nullptr);
    ASSERT_EQ(EVP_RAND_uninstantiate(generator), 1);
  }
  unsigned char one[32] = {};
  unsigned char two[32] = {};
  ASSERT_EQ(RAND_bytes(one, sizeof one), 1);
  ASSERT_EQ(RAND_priv_bytes(two, sizeof two), 1);
  EXPECT_NE(std::memcmp(one, two, sizeof one), 0);
  EXPECT_EQ(RAND_status(), 1);
  EVP_PKEY* key = EVP_RSA_gen(2048);
  EXPECT_NE(key, nullptr);
  EVP_PKEY_free(key);
  for (EVP_RAND_CTX* generator : generators) {
    EXPECT_EQ(EVP_RAND_get_state(generator), EVP_RAND_STATE_UNINITIALISED);
  }
  unsigned char drawn[1];
  ASSERT_EQ(EVP_RAND_generate(generators[1], drawn, 1, 0, 0, nullptr, 0), 1);
  EXPECT_EQ(EVP_RAND_get_state(generators[1]), EVP_RAND_STATE_READY);  // so the state above says something
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
TEST(OpenSslMemory, ARefusedLockBecomesMemoryLockAndNothingElse) {
  EXPECT_EXIT(
      {
        rlimit limit{};
        if (setrlimit(RLIMIT_MEMLOCK, &limit) != 0 || (getuid() == 0 && setuid(65534) != 0)) _exit(99);
        ClearOpenSslError();
        EVP_PKEY* key = EVP_RSA_gen(2048);
        if (key != nullptr) _exit(1);
        const Error refused = OpenSslError({Code::kCrypto, "other"});
        if (refused.code != Code::kMemoryLock) _exit(2);
        if (refused.message.find("RLIMIT_MEMLOCK") == std::string::npos) _exit(3);
        // Said once.
        if (OpenSslError({Code::kCrypto, "other"}).code != Code::kCrypto) _exit(4);
        {
          LockingScope scope(Locking::kPreferred);
          key = EVP_RSA_gen(2048);
          if (key == nullptr || !Pool().degraded()) _exit(5);
          EVP_PKEY_free(key);
        }
        _exit(0);
      },
      testing::ExitedWithCode(0), "");
}
#endif

TEST(OpenSslMemory, AThreadThatEndsGivesItsErrorQueueBack) {
  const auto before = Pool().stats();
  std::thread([] {
    ERR_raise(ERR_LIB_USER, 1);
    EXPECT_NE(ERR_peek_error(), 0u);
  }).join();
  EXPECT_EQ(Pool().stats().allocations, before.allocations);
  EXPECT_EQ(Pool().stats().bytes_in_use, before.bytes_in_use);
}

}  // namespace
}  // namespace nomyo
