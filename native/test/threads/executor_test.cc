// The executor: order, fairness, cancellation, bounds, and the stacks that jobs run on.
#include "core/threads/executor.h"

#include <gtest/gtest.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <sched.h>
#include <sys/resource.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "core/memory/locked_pool.h"
#include "core/memory/locking.h"
#include "core/memory/openssl_memory.h"
#include "core/memory/secure_buffer.h"
#include "core/memory/stack_wipe.h"
#include "core/threads/job_stack.h"
#include "test/threads/stack_use.h"

namespace nomyo {
namespace {

using namespace std::chrono_literals;

class TestJob final : public Job {
 public:
  explicit TestJob(std::function<void()> work) : work_(std::move(work)) {}

  void Run() noexcept override { work_(); }

  void Finish(bool cancelled) noexcept override {
    std::lock_guard lock(mutex_);
    ++finished_;
    cancelled_ = cancelled;
    done_.notify_all();
  }

  // Wait returns whether the job was cancelled.
  bool Wait() {
    std::unique_lock lock(mutex_);
    EXPECT_TRUE(done_.wait_for(lock, 60s, [this] { return finished_ != 0; }));
    return cancelled_;
  }

  int finished() {
    std::lock_guard lock(mutex_);
    return finished_;
  }

 private:
  std::function<void()> work_;
  std::mutex mutex_;
  std::condition_variable done_;
  int finished_ = 0;
  bool cancelled_ = false;
};

std::shared_ptr<TestJob> Make(std::function<void()> work) {
  return std::make_shared<TestJob>(std::move(work));
}

// Holds every thread of the executor until it is destroyed, so that what is submitted meanwhile waits in the queue.
class AllThreadsBusy {
 public:
  AllThreadsBusy() {
    const std::size_t threads = Executor::Instance().stats().thread_limit;
    for (std::size_t i = 0; i < threads; ++i) {
      jobs_.push_back(Make([this] {
        std::unique_lock lock(mutex_);
        ++started_;
        changed_.notify_all();
        changed_.wait(lock, [this] { return open_; });
      }));
      EXPECT_TRUE(Executor::Instance().Submit(jobs_.back(), Locking::kRequired, this).ok());
    }
    std::unique_lock lock(mutex_);
    EXPECT_TRUE(changed_.wait_for(lock, 60s, [&] { return started_ == threads; }));
  }

  ~AllThreadsBusy() { Open(); }

  void Open() {
    {
      std::lock_guard lock(mutex_);
      open_ = true;
    }
    changed_.notify_all();
    for (const auto& job : jobs_) job->Wait();
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::size_t started_ = 0;
  bool open_ = false;
  std::vector<std::shared_ptr<TestJob>> jobs_;
};

TEST(Executor, RunsAJobUnderItsPolicyOnALockedStackWithSignalsBlocked) {
  const void* stack = nullptr;
  Locking locking{};
  bool blocked = false;
  auto job = Make([&] {
    int here = 0;
    stack = &here;
    locking = CurrentLocking();
    sigset_t mask;
    pthread_sigmask(SIG_SETMASK, nullptr, &mask);
    blocked = sigismember(&mask, SIGTERM) == 1 && sigismember(&mask, SIGSEGV) == 0;
  });
  ASSERT_TRUE(Executor::Instance().Submit(job, Locking::kPreferred, nullptr).ok());
  EXPECT_FALSE(job->Wait());
  EXPECT_EQ(locking, Locking::kPreferred);
#if !defined(__SANITIZE_ADDRESS__)  // which keeps locals in a stack of its own
  EXPECT_TRUE(LockedPool::Instance().Owns(stack));
#endif
  EXPECT_TRUE(blocked);
  EXPECT_EQ(job->finished(), 1);
}

TEST(Executor, ServesOwnersInTurn) {
  std::mutex mutex;
  std::string order;
  std::vector<std::shared_ptr<TestJob>> jobs;
  const int first = 0;
  const int second = 0;
  const int third = 0;
  // One thread, so that the order can be seen.
  const std::size_t limit = Executor::Instance().stats().thread_limit;
  AllThreadsBusy busy;
  const auto submit = [&](char name, const int* owner) {
    jobs.push_back(Make([&, name] {
      std::lock_guard lock(mutex);
      order += name;
    }));
    ASSERT_TRUE(Executor::Instance().Submit(jobs.back(), Locking::kRequired, owner).ok());
  };
  for (int i = 0; i < 4; ++i) submit('a', &first);
  submit('b', &second);
  submit('b', &second);
  submit('c', &third);
  busy.Open();
  for (const auto& job : jobs) job->Wait();
  if (limit == 1) {
    EXPECT_EQ(order, "abcabaa");
  } else {
    // With more threads neighbours may change places, but the thousandth job of one does not come before the first of
    // another.
    EXPECT_EQ(order.size(), 7u);
    EXPECT_LT(order.find('c'), 3 + limit);
    EXPECT_LT(order.find('b'), 2 + limit);
  }
}

TEST(Executor, CancelTakesAJobOutOnceAndOnlyBeforeItStarts) {
  std::atomic<bool> ran{false};
  auto waiting = Make([&] { ran = true; });
  {
    AllThreadsBusy busy;
    ASSERT_TRUE(Executor::Instance().Submit(waiting, Locking::kRequired, nullptr).ok());
    EXPECT_EQ(Executor::Instance().stats().queued, 1u);
    EXPECT_TRUE(Executor::Instance().Cancel(waiting));
    EXPECT_FALSE(Executor::Instance().Cancel(waiting));
    EXPECT_EQ(Executor::Instance().stats().queued, 0u);
    EXPECT_TRUE(waiting->Wait());
  }
  auto done = Make([] {});
  EXPECT_FALSE(Executor::Instance().Cancel(done));  // never submitted
  ASSERT_TRUE(Executor::Instance().Submit(done, Locking::kRequired, nullptr).ok());
  EXPECT_FALSE(done->Wait());
  EXPECT_FALSE(Executor::Instance().Cancel(done));
  EXPECT_FALSE(ran);
  EXPECT_EQ(waiting->finished(), 1);
  EXPECT_EQ(done->finished(), 1);
}

TEST(Executor, CancelOwnerTakesOutOnlyThatOwnersJobs) {
  const int mine = 0;
  const int other = 0;
  std::vector<std::shared_ptr<TestJob>> jobs;
  auto kept = Make([] {});
  {
    AllThreadsBusy busy;
    for (int i = 0; i < 5; ++i) {
      jobs.push_back(Make([] { ADD_FAILURE() << "a cancelled job ran"; }));
      ASSERT_TRUE(Executor::Instance().Submit(jobs.back(), Locking::kRequired, &mine).ok());
    }
    ASSERT_TRUE(Executor::Instance().Submit(kept, Locking::kRequired, &other).ok());
    Executor::Instance().CancelOwner(&mine);
    EXPECT_EQ(Executor::Instance().stats().queued, 1u);
    for (const auto& job : jobs) EXPECT_TRUE(job->Wait());
  }
  EXPECT_FALSE(kept->Wait());
}

TEST(Executor, TheQueueIsBounded) {
  const int owner = 0;
  AllThreadsBusy busy;
  Status status;
  std::size_t accepted = 0;
  for (; accepted < 10'000 && status; ++accepted) {
    status = Executor::Instance().Submit(Make([] {}), Locking::kRequired, &owner);
  }
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().code, Code::kQueueFull);
  EXPECT_EQ(accepted - 1, 4096u);
  Executor::Instance().CancelOwner(&owner);
}

TEST(Executor, EachOfManyJobsFinishesOnceAndThreadsStayInTheirLimit) {
  std::vector<std::shared_ptr<TestJob>> jobs;
  std::atomic<int> ran{0};
  int owners[5] = {};
  std::size_t cancelled = 0;
  for (int i = 0; i < 2000; ++i) {
    jobs.push_back(Make([&] { ++ran; }));
    ASSERT_TRUE(Executor::Instance().Submit(jobs.back(), Locking::kRequired, &owners[i % 5]).ok());
    if (i % 3 == 0) cancelled += Executor::Instance().Cancel(jobs.back());
  }
  for (const auto& job : jobs) job->Wait();
  for (const auto& job : jobs) EXPECT_EQ(job->finished(), 1);
  EXPECT_EQ(static_cast<std::size_t>(ran) + cancelled, 2000u);
  const auto stats = Executor::Instance().stats();
  EXPECT_EQ(stats.queued, 0u);
  EXPECT_EQ(stats.running, 0u);
  EXPECT_LE(stats.threads, stats.thread_limit);
}

TEST(Executor, NothingOfAJobsOpenSslStateIsLeftInThePool) {
  const auto run = [](std::function<void()> work) {
    auto job = Make(std::move(work));
    ASSERT_TRUE(Executor::Instance().Submit(job, Locking::kRequired, nullptr).ok());
    job->Wait();
  };
  {
    AllThreadsBusy all;
  }  // every thread and its stack is there
  // What OpenSSL fetches for its first key stays, where no earlier test has made one.
  run([] { EVP_PKEY_free(EVP_RSA_gen(2048)); });
  // What earlier tests had asked for ahead (a wrapped key, say) is counted before, not while.
  for (;;) {
    const auto now = Executor::Instance().stats();
    if (now.queued == 0 && now.running == 0) break;
    std::this_thread::yield();
  }
  const auto before = LockedPool::Instance().stats();
  run([] {
    ERR_raise_data(ERR_LIB_USER, 1, "a text of some length: %s", "which stays in the queue");
    EXPECT_NE(ERR_peek_error(), 0u);
    EVP_PKEY_free(EVP_RSA_gen(2048));
  });
  const auto after = LockedPool::Instance().stats();
  EXPECT_GT(after.total_allocations, before.total_allocations);
  EXPECT_EQ(after.bytes_in_use, before.bytes_in_use);
  EXPECT_EQ(after.allocations, before.allocations);
  run([] { EXPECT_EQ(ERR_peek_error(), 0u); });
}

TEST(Executor, RefusesAnUnreasonableThreadLimit) {
  EXPECT_EQ(Executor::Instance().SetThreadLimit(0).error().code, Code::kInvalidArgument);
  EXPECT_EQ(Executor::Instance().SetThreadLimit(65).error().code, Code::kInvalidArgument);
  EXPECT_FALSE(Executor::Instance().stats().thread_limit_chosen);
}

// ---- the stacks
// ------------------------------------------------------------------------------------------------------

TEST(JobStack, IsWipedAfterEachRun) {
  auto stack = JobStack::Allocate(Locking::kRequired);
  ASSERT_TRUE(stack.ok());
  EXPECT_TRUE(stack->locked());
  const auto all_zero = [&] {
    return std::all_of(stack->bytes().begin(), stack->bytes().end(), [](auto byte) { return byte == 0; });
  };
  bool left_something = false;
  struct Both {
    const JobStack* stack;
    bool* left;
  } both{&*stack, &left_something};
  stack->Run(
      [](void* data) {
        volatile unsigned char secret[20'000];
        for (auto& byte : secret) byte = 0x5a;
        const auto& given = *static_cast<Both*>(data);
        const auto bytes = given.stack->bytes();
        *given.left = std::any_of(bytes.begin(), bytes.end(), [](auto byte) { return byte != 0; });
      },
      &both);
#if !defined(__SANITIZE_ADDRESS__)
  EXPECT_TRUE(left_something);  // so the work did run there, and the next line says something
#endif
  EXPECT_TRUE(all_zero());
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
TEST(JobStackDeathTest, AStackThatOverflowsKillsTheProcessInsteadOfCorruptingTheNext) {
  EXPECT_EXIT(
      {
        auto stack = JobStack::Allocate(Locking::kRequired);
        stack->Run(
            [](void*) {
              struct Deep {
                static int Down(int depth) {
                  volatile char frame[512];
                  frame[0] = static_cast<char>(depth);
                  return depth > 100'000 ? frame[0] : Down(depth + 1) + frame[0];
                }
              };
              static_cast<void>(Deep::Down(0));
            },
            nullptr);
        _exit(0);
      },
      testing::KilledBySignal(SIGSEGV), "");
}

// The reason for kJobStackBytes and kWipedStackBytes; attestation/certificate_test.cc measures a verification.
TEST(JobStack, HasRoomForTheHeaviestWorkManyTimesOver) {
  const std::size_t generation = test::StackUseOf([] { EVP_PKEY_free(EVP_RSA_gen(2048)); });
  const std::size_t pem = test::StackUseOf([] {
    EVP_PKEY* key = EVP_RSA_gen(2048);
    BIO* file = BIO_new(BIO_s_mem());
    char password[] = "a password";
    EXPECT_EQ(PEM_write_bio_PKCS8PrivateKey(file, key, EVP_aes_256_cbc(), nullptr, 0, nullptr, password), 1);
    EVP_PKEY* again = PEM_read_bio_PrivateKey(file, nullptr, nullptr, password);
    EXPECT_NE(again, nullptr);
    EVP_PKEY_free(again);
    EVP_PKEY_free(key);
    BIO_free(file);
  });
  const std::size_t oaep = test::StackUseOf([] {
    EVP_PKEY* key = EVP_RSA_gen(2048);
    EVP_PKEY_CTX* context = EVP_PKEY_CTX_new(key, nullptr);
    unsigned char in[32] = {1};
    unsigned char sealed[256];
    unsigned char out[256];
    std::size_t size = sizeof sealed;
    std::size_t out_size = sizeof out;
    EXPECT_EQ(EVP_PKEY_encrypt_init(context), 1);
    EXPECT_EQ(EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_OAEP_PADDING), 1);
    EXPECT_EQ(EVP_PKEY_encrypt(context, sealed, &size, in, sizeof in), 1);
    EXPECT_EQ(EVP_PKEY_decrypt_init(context), 1);
    EXPECT_EQ(EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_OAEP_PADDING), 1);
    EXPECT_EQ(EVP_PKEY_decrypt(context, out, &out_size, sealed, size), 1);
    EVP_PKEY_CTX_free(context);
    EVP_PKEY_free(key);
  });
  std::printf("stack used: RSA generation %zu, PEM with a password %zu, OAEP %zu bytes\n", generation, pem, oaep);
  for (const std::size_t used : {generation, pem, oaep}) {
    EXPECT_GT(used, 1000u);
    EXPECT_LT(used, kWipedStackBytes / 2);
    EXPECT_LT(used, kJobStackBytes / 8);
  }
}
#endif

// ---- lock limits: a child each, because limits and the executor belong to the process
// --------------------------------

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)

// Gives up CAP_IPC_LOCK by giving up root, under a lock limit.
void BecomeOrdinaryWith(rlim_t lock_limit) {
  rlimit limit{};
  limit.rlim_cur = limit.rlim_max = lock_limit;
  if (setrlimit(RLIMIT_MEMLOCK, &limit) != 0 || (getuid() == 0 && setuid(65534) != 0)) _exit(99);
}

TEST(ExecutorDeathTest, WithoutRoomForAStackRequiredIsRefusedWithTheReasonAndPreferredWorks) {
  EXPECT_EXIT(
      {
        BecomeOrdinaryWith(64 * 1024);
        auto job = Make([] { _exit(90); });
        const Status status = Executor::Instance().Submit(job, Locking::kRequired, nullptr);
        if (status || status.error().code != Code::kMemoryLock) _exit(91);
        if (status.error().message.find("65536 bytes") == std::string::npos) _exit(92);
        if (job->finished() != 0) _exit(93);
        auto other = Make([] {});
        if (!Executor::Instance().Submit(other, Locking::kPreferred, nullptr)) _exit(94);
        other->Wait();
        if (!LockedPool::Instance().degraded()) _exit(95);
        // A required job does not go to the unlocked stack that exists now.
        if (Executor::Instance().Submit(Make([] { _exit(96); }), Locking::kRequired, nullptr)) _exit(97);
        _exit(0);
      },
      testing::ExitedWithCode(0), "");
}

TEST(ExecutorDeathTest, AThreadThatTheSystemRefusesIsToldAndLaterThereIsOne) {
  EXPECT_EXIT(
      {
        BecomeOrdinaryWith(std::size_t{8} << 20);
        rlimit limit{};
        if (getrlimit(RLIMIT_NPROC, &limit) != 0) _exit(91);
        rlimit none = limit;
        none.rlim_cur = 0;
        if (setrlimit(RLIMIT_NPROC, &none) != 0) _exit(92);
        const std::size_t before = LockedPool::Instance().stats().bytes_in_use;
        for (int i = 0; i < 3; ++i) {
          const Status status = Executor::Instance().Submit(Make([] { _exit(90); }), Locking::kRequired, nullptr);
          if (status || status.error().code != Code::kOutOfMemory) _exit(93);
          if (status.error().message.find("start a thread") == std::string::npos) _exit(94);
        }
        // Nor does the stack that it was to have stay.
        if (LockedPool::Instance().stats().bytes_in_use != before) _exit(95);
        if (Executor::Instance().stats().queued != 0) _exit(96);
        rlimit enough = limit;
        enough.rlim_cur = limit.rlim_max;
        if (setrlimit(RLIMIT_NPROC, &enough) != 0) _exit(97);
        auto job = Make([] {});
        if (!Executor::Instance().Submit(job, Locking::kRequired, nullptr)) _exit(98);
        job->Wait();
        _exit(job->finished() == 1 ? 0 : 99);
      },
      testing::ExitedWithCode(0), "");
}

std::vector<SecureBuffer> LockAllThereIs() {
  std::vector<SecureBuffer> all;
  for (std::size_t size = std::size_t{1} << 20; size > kJobStackBytes / 4;) {
    auto buffer = SecureBuffer::Allocate(size);
    if (buffer) {
      all.push_back(std::move(*buffer));
    } else {
      size /= 2;
    }
  }
  return all;
}

TEST(ExecutorDeathTest, AThreadThatPublicDataStartedHasALockedStackForThoseWhoNeedIt) {
  EXPECT_EXIT(
      {
        BecomeOrdinaryWith(8 << 20);
        for (const auto locking : {Locking::kOff, Locking::kPublic, Locking::kPreferred}) {
          bool locked = false;
          auto job = Make([&] {
            int here = 0;
            const auto stats = LockedPool::Instance().stats();
            locked = LockedPool::Instance().Owns(&here) && stats.bytes_locked == stats.bytes_mapped;
          });
          if (!Executor::Instance().Submit(job, locking, nullptr)) _exit(90);
          job->Wait();
          if (!locked) _exit(91);
        }
        _exit(LockedPool::Instance().degraded() ? 92 : 0);
      },
      testing::ExitedWithCode(0), "");
}

TEST(ExecutorDeathTest, PreferredWorkOnAStackThatIsNotLockedIsReportedWhoeverMadeTheStack) {
  EXPECT_EXIT(
      {
        BecomeOrdinaryWith(64 * 1024);
        auto off = Make([] {});
        if (!Executor::Instance().Submit(off, Locking::kOff, nullptr)) _exit(90);
        off->Wait();
        if (LockedPool::Instance().degraded()) _exit(91);
        auto preferred = Make([] {});
        if (!Executor::Instance().Submit(preferred, Locking::kPreferred, nullptr)) _exit(92);
        preferred->Wait();
        _exit(LockedPool::Instance().degraded() ? 0 : 93);
      },
      testing::ExitedWithCode(0), "");
}

TEST(ExecutorDeathTest, ARequiredJobAfterUnlockedOnesGetsALockedStackAsTheThreadLimitIsReached) {
  EXPECT_EXIT(
      {
        BecomeOrdinaryWith(8 << 20);
        if (!Executor::Instance().SetThreadLimit(1)) _exit(90);
        std::vector<SecureBuffer> all = LockAllThereIs();
        auto off = Make([] {});
        if (!Executor::Instance().Submit(off, Locking::kOff, nullptr)) _exit(91);
        off->Wait();
        if (LockedPool::Instance().degraded()) _exit(94);  // nothing has asked for locked memory but what has it
        all.clear();
        bool locked = false;
        auto required = Make([&] {
          int here = 0;
          // The lock shows in the chunk of the stack: its allocation cannot be asked for by an inner address.
          locked = LockedPool::Instance().Owns(&here) && LockedPool::Instance().stats().bytes_locked >= kJobStackBytes;
        });
        if (!Executor::Instance().Submit(required, Locking::kRequired, nullptr)) _exit(92);
        required->Wait();
        _exit(locked && Executor::Instance().stats().threads == 1 ? 0 : 93);
      },
      testing::ExitedWithCode(0), "");
}

// Submits so many jobs at once, all under way until the last of them is submitted, and waits for their end.
void RunTogether(int count, Locking locking = Locking::kOff) {
  std::atomic<bool> all{false};
  std::vector<std::shared_ptr<TestJob>> jobs;
  for (int i = 0; i < count; ++i) {
    jobs.push_back(Make([&all] { all.wait(false); }));
    if (!Executor::Instance().Submit(jobs.back(), locking, nullptr)) _exit(80);
  }
  all = true;
  all.notify_all();
  for (const auto& job : jobs) job->Wait();
}

TEST(ExecutorDeathTest, AChosenThreadLimitIsKeptToWhateverTheCoresAndIsChosenOnce) {
  for (const std::size_t chosen : {std::size_t{1}, std::size_t{3}}) {
    EXPECT_EXIT(
        {
          Executor& executor = Executor::Instance();
          if (!executor.SetThreadLimit(chosen)) _exit(90);
          RunTogether(8);
          if (executor.stats().threads != chosen) _exit(91);
          // The same again is nothing new, also after the threads have started.
          if (!executor.SetThreadLimit(chosen)) _exit(92);
          for (const std::size_t other : {std::size_t{2}, std::size_t{64}}) {
            const Status status = executor.SetThreadLimit(other);
            if (status || status.error().code != Code::kInvalidArgument) _exit(93);
            if (status.error().message.find("chosen before, " + std::to_string(chosen)) == std::string::npos) _exit(94);
          }
          const auto stats = executor.stats();
          _exit(stats.thread_limit == chosen && stats.thread_limit_chosen ? 0 : 95);
        },
        testing::ExitedWithCode(0), "");
  }
}

// How many threads there can be at the most: their stacks take half of what an account may lock.
std::size_t MostThreads() {
  const auto budget = LockedPool::Instance().LockBudget();
  return budget ? std::min<std::size_t>(64, *budget / 2 / kJobStackBytes) : 64;
}

TEST(ExecutorDeathTest, AThreadLimitUnderWhatHasStartedIsRefusedAndALargerOneWorksAtOnce) {
  if (Executor::Instance().stats().thread_limit < 2) GTEST_SKIP() << "one core";
  EXPECT_EXIT(
      {
        Executor& executor = Executor::Instance();
        const std::size_t limit = executor.stats().thread_limit;
        RunTogether(80);
        if (executor.stats().threads != limit) _exit(90);
        const Status status = executor.SetThreadLimit(limit - 1);
        if (status || status.error().code != Code::kInvalidArgument) _exit(91);
        if (status.error().message.rfind(std::to_string(limit) + " threads run already", 0) != 0) _exit(92);
        const auto before = executor.stats();
        if (before.thread_limit != limit || before.thread_limit_chosen) _exit(93);
        if (!executor.SetThreadLimit(64)) _exit(94);
        RunTogether(80);
        _exit(executor.stats().threads == MostThreads() ? 0 : 95);
      },
      testing::ExitedWithCode(0), "");
}

TEST(ExecutorDeathTest, WithoutAChoiceThereAreNoMoreThreadsThanCoresThatTheProcessMayUse) {
  EXPECT_EXIT(
      {
        cpu_set_t one;
        CPU_ZERO(&one);
        CPU_SET(sched_getcpu(), &one);
        if (sched_setaffinity(0, sizeof one, &one) != 0) _exit(90);
        RunTogether(8);
        const auto stats = Executor::Instance().stats();
        _exit(stats.threads == 1 && stats.thread_limit == 1 ? 0 : 91);
      },
      testing::ExitedWithCode(0), "");
}

#if defined(__x86_64__)

// How many of xmm8 to xmm15 of the package's first thread have only ones when it starts.
std::atomic<int> inherited_ones{-1};

void CountOnes() {
  alignas(16) std::array<std::array<std::uint8_t, 16>, 8> found;
  __asm__ volatile(
      "movdqa %%xmm8, 0(%0)\n\tmovdqa %%xmm9, 16(%0)\n\tmovdqa %%xmm10, 32(%0)\n\tmovdqa %%xmm11, 48(%0)\n\t"
      "movdqa %%xmm12, 64(%0)\n\tmovdqa %%xmm13, 80(%0)\n\tmovdqa %%xmm14, 96(%0)\n\tmovdqa %%xmm15, 112(%0)" ::"r"(
          found.data())
      : "memory");
  int ones = 0;
  for (const auto& each : found) {
    ones += std::all_of(each.begin(), each.end(), [](std::uint8_t byte) { return byte == 0xff; });
  }
  inherited_ones = ones;
}

TEST(ExecutorDeathTest, AThreadStartsWithNothingOfItsCreatorsRegisters) {
  EXPECT_EXIT(
      {
        Executor::SetThreadStart(CountOnes);
        auto job = Make([] {});
        __asm__ volatile(
            "pcmpeqd %%xmm8, %%xmm8\n\tpcmpeqd %%xmm9, %%xmm9\n\tpcmpeqd %%xmm10, %%xmm10\n\t"
            "pcmpeqd %%xmm11, %%xmm11\n\tpcmpeqd %%xmm12, %%xmm12\n\tpcmpeqd %%xmm13, %%xmm13\n\t"
            "pcmpeqd %%xmm14, %%xmm14\n\tpcmpeqd %%xmm15, %%xmm15" ::
                : "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");
        if (!Executor::Instance().Submit(job, Locking::kOff, nullptr)) _exit(90);
        job->Wait();
        _exit(inherited_ones == 0 ? 0 : 91);
      },
      testing::ExitedWithCode(0), "");
}

#endif

TEST(ExecutorDeathTest, StacksOfAChosenNumberLeaveHalfOfWhatMayBeLocked) {
  for (const Locking locking : {Locking::kRequired, Locking::kPreferred}) {
    EXPECT_EXIT(
        {
          constexpr std::size_t kLimit = 4 << 20;
          BecomeOrdinaryWith(kLimit);
          Executor& executor = Executor::Instance();
          if (!executor.SetThreadLimit(64)) _exit(90);
          RunTogether(80, locking);
          const std::size_t threads = executor.stats().threads;
          if (threads != kLimit / 2 / kJobStackBytes || LockedPool::Instance().degraded()) _exit(91);
          const LockingScope scope(Locking::kRequired);
          _exit(SecureBuffer::Allocate(1 << 20) ? 0 : 92);
        },
        testing::ExitedWithCode(0), "");
  }
}

TEST(ExecutorDeathTest, StacksTakeAtMostAQuarterOfTheLockLimit) {
  EXPECT_EXIT(
      {
        BecomeOrdinaryWith(4 * kJobStackBytes);
        std::vector<std::shared_ptr<TestJob>> jobs;
        for (int i = 0; i < 200; ++i) {
          jobs.push_back(Make([] { usleep(100); }));
          if (!Executor::Instance().Submit(jobs.back(), Locking::kRequired, nullptr)) _exit(90);
        }
        for (const auto& job : jobs) job->Wait();
        const auto stats = Executor::Instance().stats();
        _exit(stats.threads == 1 && stats.thread_limit == 1 ? 0 : 91);
      },
      testing::ExitedWithCode(0), "");
}

#endif

}  // namespace
}  // namespace nomyo
