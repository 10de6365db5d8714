// Keys that are wrapped for a receiver, some ahead: each is what was wrapped, none comes twice, none stays behind.
#include "core/envelope/key_wrapper.h"

#include <gtest/gtest.h>

#if !defined(_WIN32)
#include <sys/wait.h>
#include <unistd.h>
#endif

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <fstream>
#include <future>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "core/memory/locked_pool.h"
#include "core/memory/secure_buffer.h"
#include "core/threads/executor.h"

namespace nomyo {
namespace {

using Key = std::array<std::uint8_t, kAesKeyBytes>;

struct Taken {
  Key key{};
  std::vector<std::uint8_t> wrapped;
};

const RsaPrivateKey& Receiver() {
  static auto key = RsaPrivateKey::Generate(2048);
  return *key;
}

KeyWrapper Wrapper() {
  auto key = Receiver().PublicKey();
  auto wrapper = KeyWrapper::For(*key);
  return std::move(*wrapper);
}

Taken Take(KeyWrapper& wrapper) {
  Taken taken;
  taken.wrapped.resize(wrapper.wrapped_bytes());
  EXPECT_TRUE(wrapper.Take(taken.key, taken.wrapped));
  return taken;
}

bool Opens(const Taken& taken) {
  auto key = OaepDecrypt(Receiver(), taken.wrapped);
  return key && std::ranges::equal(key->bytes(), taken.key);
}

template <class Condition>
bool ComesTrue(Condition condition) {
  for (const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(60);;) {
    if (condition()) return true;
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::yield();
  }
}

// Occupied keeps every thread of the executor busy for its own lifetime. Each has wrapped a key before, so that it has
// what OpenSSL keeps for a thread, and has given back what its former job held: until the end of this object only the
// caller changes the pool's numbers.
class Occupied {
 public:
  Occupied() {
    const std::size_t threads = Executor::Instance().stats().thread_limit;
    for (std::size_t i = 0; i < threads; ++i) {
      EXPECT_TRUE(Executor::Instance().Submit(std::make_shared<Wait>(open_, waiting_), Locking::kRequired, this));
    }
    EXPECT_TRUE(ComesTrue([&] { return *waiting_ == threads; }));
  }
  ~Occupied() { gate_.set_value(); }

 private:
  class Wait final : public Job {
   public:
    Wait(std::shared_future<void> open, std::shared_ptr<std::atomic<std::size_t>> waiting)
        : open_(std::move(open)), waiting_(std::move(waiting)) {}
    void Run() noexcept override {
      {
        KeyWrapper wrapper = Wrapper();
        static_cast<void>(Take(wrapper));
      }
      ++*waiting_;
      open_.wait();
    }
    void Finish(bool) noexcept override {}

   private:
    std::shared_future<void> open_;
    std::shared_ptr<std::atomic<std::size_t>> waiting_;
  };

  std::promise<void> gate_;
  std::shared_future<void> open_ = gate_.get_future().share();
  std::shared_ptr<std::atomic<std::size_t>> waiting_ = std::make_shared<std::atomic<std::size_t>>(0);
};

TEST(KeyWrapper, MakesNothingAheadForWhoTakesOnce) {
  KeyWrapper wrapper = Wrapper();
  EXPECT_TRUE(Opens(Take(wrapper)));
  // A job that was queued would have made one by then.
  EXPECT_TRUE(ComesTrue([] {
    const auto stats = Executor::Instance().stats();
    return stats.queued + stats.running == 0;
  }));
  EXPECT_EQ(wrapper.ready(), 0u);
}

TEST(KeyWrapper, GivesKeysThatWereMadeAheadOnceEach) {
  KeyWrapper wrapper = Wrapper();
  std::set<Key> keys;
  std::set<std::string> wrapped;
  constexpr int kTimes = 20;
  int ahead = 0;
  for (int i = 0; i < kTimes; ++i) {
    if (i >= 2) {
      ASSERT_TRUE(ComesTrue([&] { return wrapper.ready() != 0; }));
      ++ahead;
    }
    const Taken taken = Take(wrapper);
    EXPECT_TRUE(Opens(taken));
    keys.insert(taken.key);
    wrapped.emplace(taken.wrapped.begin(), taken.wrapped.end());
  }
  EXPECT_EQ(ahead, kTimes - 2);
  EXPECT_EQ(keys.size(), std::size_t{kTimes});
  EXPECT_EQ(wrapped.size(), std::size_t{kTimes});
}

TEST(KeyWrapper, WaitsForNoThread) {
  KeyWrapper wrapper = Wrapper();
  std::set<Key> keys;
  {
    const Occupied threads;
    for (int i = 0; i < 5; ++i) {
      const Taken taken = Take(wrapper);
      EXPECT_TRUE(Opens(taken));
      keys.insert(taken.key);
      EXPECT_EQ(wrapper.ready(), 0u);
    }
    EXPECT_EQ(Executor::Instance().stats().queued, 1u);  // one job, however many keys it will make
  }
  EXPECT_TRUE(ComesTrue([&] { return wrapper.ready() != 0; }));
  keys.insert(Take(wrapper).key);
  EXPECT_EQ(keys.size(), 6u);
}

// Takes from `wrapper` until as many keys are made ahead for it as are for anyone.
void UseMuch(KeyWrapper& wrapper) {
  for (std::size_t i = 0; i < 2 * KeyWrapper::kMostAhead; ++i) static_cast<void>(Take(wrapper));
  EXPECT_TRUE(ComesTrue([&] {
    if (wrapper.ready() == KeyWrapper::kMostAhead) return true;
    // What was being made for the last one was fewer.
    if (Executor::Instance().stats().queued + Executor::Instance().stats().running == 0)
      static_cast<void>(Take(wrapper));
    return false;
  }));
}

TEST(KeyWrapper, MakesMoreAheadForWhomMoreIsSealedTo) {
  KeyWrapper wrapper = Wrapper();
  Take(wrapper);
  Take(wrapper);
  ASSERT_TRUE(
      ComesTrue([] { return Executor::Instance().stats().queued + Executor::Instance().stats().running == 0; }));
  EXPECT_EQ(wrapper.ready(), 1u);
  UseMuch(wrapper);
  const Occupied threads;
  ASSERT_EQ(wrapper.ready(), KeyWrapper::kMostAhead);
  std::set<Key> keys;
  for (std::size_t left = KeyWrapper::kMostAhead; left > 0; --left) {
    EXPECT_EQ(wrapper.ready(), left);
    const Taken taken = Take(wrapper);
    EXPECT_TRUE(Opens(taken));
    keys.insert(taken.key);
  }
  EXPECT_EQ(wrapper.ready(), 0u);
  EXPECT_EQ(Executor::Instance().stats().queued, 1u);
  EXPECT_EQ(keys.size(), KeyWrapper::kMostAhead);
}

TEST(KeyWrapper, MakesNoneForWhoHasGoneMeanwhile) {
  std::uint64_t before = 0;
  {
    KeyWrapper wrapper = Wrapper();
    UseMuch(wrapper);
    const Occupied threads;
    while (wrapper.ready() != 0) static_cast<void>(Take(wrapper));
    EXPECT_EQ(Executor::Instance().stats().queued, 1u);
    wrapper.DropAhead();
    before = LockedPool::Instance().stats().total_allocations;
  }
  ASSERT_TRUE(
      ComesTrue([] { return Executor::Instance().stats().queued + Executor::Instance().stats().running == 0; }));
  EXPECT_EQ(LockedPool::Instance().stats().total_allocations, before);  // wrapping takes memory
}

TEST(KeyWrapper, GivesNoKeyFromUnlockedMemoryUnderRequired) {
  KeyWrapper wrapper = Wrapper();
  {
    const LockingScope unlocked(Locking::kOff);
    Take(wrapper);
    Take(wrapper);
    ASSERT_TRUE(ComesTrue([&] { return wrapper.ready() != 0; }));
  }
  // The key that is ready stays where it is, for those who take it from there.
  EXPECT_TRUE(Opens(Take(wrapper)));
  EXPECT_NE(wrapper.ready(), 0u);
  const LockingScope unlocked(Locking::kOff);
  EXPECT_TRUE(Opens(Take(wrapper)));
}

// Quiet waits until no job is left and the pool's numbers have stayed for a while: a job gives its memory back just
// after it is counted no more.
LockedPool::Stats Quiet() {
  using Clock = std::chrono::steady_clock;
  LockedPool::Stats last{};
  for (auto since = Clock::now(); Clock::now() < since + std::chrono::milliseconds(100); std::this_thread::yield()) {
    const auto jobs = Executor::Instance().stats();
    const auto now = LockedPool::Instance().stats();
    if (jobs.queued + jobs.running != 0 || now.total_allocations != last.total_allocations ||
        now.allocations != last.allocations) {
      since = Clock::now();
    }
    last = now;
  }
  return last;
}

TEST(KeyWrapper, LeavesNothingInThePoolHoweverItEnds) {
  {
    KeyWrapper first = Wrapper();  // what OpenSSL and the threads keep is there afterwards
    const Occupied threads;
    Take(first);
    Take(first);
  }
  const auto before = Quiet();
  for (int i = 0; i < 50; ++i) {
    KeyWrapper wrapper = Wrapper();
    for (int times = 0; times <= i % 4; ++times) Take(wrapper);
    KeyWrapper moved = std::move(wrapper);
    if (i % 3 == 0) Take(moved);
    // The wrapper goes, its job may be queued, running or done.
  }
  // A job that was not given the processor for a while may be late with what it gives back, before and after.
  EXPECT_TRUE(ComesTrue([&] {
    const auto after = LockedPool::Instance().stats();
    return after.allocations <= before.allocations && after.bytes_in_use <= before.bytes_in_use;
  }));
  EXPECT_GT(LockedPool::Instance().stats().total_allocations, before.total_allocations);
}

#if defined(__linux__) && !defined(__SANITIZE_ADDRESS__)

// Counts a key in all memory of the pool that can be read: chunks that are handed out, kept or half free.
std::size_t CountInPool(const Key& key) {
  std::size_t count = 0;
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    std::uintptr_t from = 0;
    std::uintptr_t to = 0;
    char access[5] = {};
    if (std::sscanf(line.c_str(), "%lx-%lx %4s", &from, &to, access) != 3 || access[0] != 'r') continue;
    const auto* begin = reinterpret_cast<const std::uint8_t*>(from);  // NOLINT(performance-no-int-to-ptr)
    if (!LockedPool::Instance().Owns(begin)) continue;
    const auto* end = begin + (to - from);
    for (const auto* at = begin; (at = std::search(at, end, key.begin(), key.end())) != end; ++at) ++count;
  }
  return count;
}

TEST(KeyWrapper, AKeyThatWasTakenIsNowhereInThePoolAnyMore) {
  KeyWrapper wrapper = Wrapper();
  static_cast<void>(Take(wrapper));
  static_cast<void>(Take(wrapper));
  ASSERT_TRUE(ComesTrue([&] { return wrapper.ready() != 0; }));
  const Occupied occupied;  // so that the next one is not written over it
  const Taken taken = Take(wrapper);
  EXPECT_TRUE(Opens(taken));
  EXPECT_EQ(CountInPool(taken.key), 0u);
  auto copy = SecureBuffer::CopyOf(taken.key);
  EXPECT_EQ(CountInPool(taken.key), 1u);  // the search works
}

TEST(KeyWrapper, OfManyKeysThatWaitOneThatWasTakenIsNowhereInThePoolAnyMore) {
  KeyWrapper wrapper = Wrapper();
  UseMuch(wrapper);
  const Occupied occupied;
  while (wrapper.ready() != 0) EXPECT_EQ(CountInPool(Take(wrapper).key), 0u);
}

#endif

TEST(KeyWrapper, DropsTheKeyThatWaitsAndWorksOn) {
  KeyWrapper wrapper = Wrapper();
  static_cast<void>(Take(wrapper));
  static_cast<void>(Take(wrapper));
  ASSERT_TRUE(ComesTrue([&] { return wrapper.ready() != 0; }));
  {
    const Occupied occupied;  // the job that made it is gone
    const auto before = LockedPool::Instance().stats();
    wrapper.DropAhead();
    EXPECT_EQ(wrapper.ready(), 0u);
    // What is given back is wiped (memory/locked_pool_test.cc).
    EXPECT_LE(LockedPool::Instance().stats().bytes_in_use, before.bytes_in_use - kAesKeyBytes);
  }
  EXPECT_TRUE(Opens(Take(wrapper)));
  EXPECT_TRUE(Opens(Take(wrapper)));
  EXPECT_TRUE(ComesTrue([&] { return wrapper.ready() != 0; }));
}

TEST(KeyWrapper, AKeyThatIsBeingMadeWhenItIsDroppedIsFreedWhenItIsMade) {
  KeyWrapper wrapper = Wrapper();
  static_cast<void>(Take(wrapper));
  LockedPool::Stats before{};
  {
    const Occupied occupied;
    before = LockedPool::Instance().stats();
    static_cast<void>(Take(wrapper));  // its job waits
    const auto making = LockedPool::Instance().stats();
    EXPECT_GE(making.bytes_in_use, before.bytes_in_use + kAesKeyBytes);
    wrapper.DropAhead();
    EXPECT_EQ(LockedPool::Instance().stats().bytes_in_use, making.bytes_in_use);  // the job holds it
  }
  EXPECT_TRUE(ComesTrue([] { return Executor::Instance().stats().queued == 0; }));
  const Occupied occupied;  // whichever thread made it has ended that job
  const auto after = LockedPool::Instance().stats();
  EXPECT_EQ(after.bytes_in_use, before.bytes_in_use);
  EXPECT_EQ(after.allocations, before.allocations);
  EXPECT_EQ(wrapper.ready(), 0u);
}

#if !defined(_WIN32)

// With mlock the key that was made ahead reads as zeros in a child of fork(), with memfd_secret it is not there.
TEST(KeyWrapper, AForkedChildIsGivenNoKey) {
  KeyWrapper wrapper = Wrapper();
  static_cast<void>(Take(wrapper));
  static_cast<void>(Take(wrapper));
  ASSERT_TRUE(ComesTrue([&] { return wrapper.ready() != 0; }));
  const pid_t child = fork();
  if (child == 0) {
    signal(SIGSEGV, SIG_DFL);
    Key key;
    key.fill(0x5a);
    std::vector<std::uint8_t> wrapped(wrapper.wrapped_bytes());
    const Status status = wrapper.Take(key, wrapped);
    if (status) _exit(10);
    if (status.error().code != Code::kMemoryLock) _exit(11);
    if (status.error().message.find("fork()") == std::string::npos) _exit(12);
    if (Executor::Instance().Submit(nullptr, Locking::kRequired, nullptr)) _exit(13);
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_TRUE(WIFEXITED(status)) << "signal " << WTERMSIG(status);
  EXPECT_EQ(WEXITSTATUS(status), 0);
  EXPECT_TRUE(Opens(Take(wrapper)));  // the parent goes on
  Quiet();                            // the tests that follow count what is in the pool
}

TEST(KeyWrapperDeathTest, AForkedChildIsGivenNoKeyOfMlockedMemoryEither) {
  EXPECT_EXIT(
      {
        if (!LockedPool::Instance().ChooseMechanism("mlock")) _exit(90);
        KeyWrapper wrapper = Wrapper();
        static_cast<void>(Take(wrapper));
        static_cast<void>(Take(wrapper));
        if (!ComesTrue([&] { return wrapper.ready() != 0; })) _exit(91);
        const pid_t child = fork();
        if (child == 0) {
          Key key{};
          std::vector<std::uint8_t> wrapped(wrapper.wrapped_bytes());
          _exit(wrapper.Take(key, wrapped) ? 10 : 0);
        }
        int status = 0;
        waitpid(child, &status, 0);
        _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 92);
      },
      testing::ExitedWithCode(0), "");
}

#endif

}  // namespace
}  // namespace nomyo
