// Keys that are wrapped for a receiver, one ahead: each is what was wrapped, none comes twice, none stays behind.
#include "core/envelope/key_wrapper.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <chrono>
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

// Occupied keeps every thread of the executor busy for its own lifetime.
class Occupied {
 public:
  Occupied() {
    for (std::size_t i = Executor::Instance().stats().thread_limit; i > 0; --i) {
      EXPECT_TRUE(Executor::Instance().Submit(std::make_shared<Wait>(open_), LockPolicy::kRequired, this));
    }
    EXPECT_TRUE(ComesTrue([] { return Executor::Instance().stats().queued == 0; }));
  }
  ~Occupied() { gate_.set_value(); }

 private:
  class Wait final : public Job {
   public:
    explicit Wait(std::shared_future<void> open) : open_(std::move(open)) {}
    void Run() noexcept override { open_.wait(); }
    void Finish(bool) noexcept override {}

   private:
    std::shared_future<void> open_;
  };

  std::promise<void> gate_;
  std::shared_future<void> open_ = gate_.get_future().share();
};

TEST(KeyWrapper, MakesNothingAheadForWhoTakesOnce) {
  KeyWrapper wrapper = Wrapper();
  EXPECT_TRUE(Opens(Take(wrapper)));
  // A job that was queued would have made one by then.
  EXPECT_TRUE(ComesTrue([] {
    const auto stats = Executor::Instance().stats();
    return stats.queued + stats.running == 0;
  }));
  EXPECT_FALSE(wrapper.has_ready());
}

TEST(KeyWrapper, GivesKeysThatWereMadeAheadOnceEach) {
  KeyWrapper wrapper = Wrapper();
  std::set<Key> keys;
  std::set<std::string> wrapped;
  constexpr int kTimes = 20;
  int ahead = 0;
  for (int i = 0; i < kTimes; ++i) {
    if (i >= 2) {
      ASSERT_TRUE(ComesTrue([&] { return wrapper.has_ready(); }));
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
      EXPECT_FALSE(wrapper.has_ready());
    }
    EXPECT_EQ(Executor::Instance().stats().queued, 1u);  // one key ahead, never more
  }
  EXPECT_TRUE(ComesTrue([&] { return wrapper.has_ready(); }));
  keys.insert(Take(wrapper).key);
  EXPECT_EQ(keys.size(), 6u);
}

TEST(KeyWrapper, GivesNoKeyFromUnlockedMemoryUnderRequired) {
  KeyWrapper wrapper = Wrapper();
  {
    const LockPolicyScope unlocked(LockPolicy::kOff);
    Take(wrapper);
    Take(wrapper);
    ASSERT_TRUE(ComesTrue([&] { return wrapper.has_ready(); }));
  }
  // The key that is ready stays where it is, for those who take it from there.
  EXPECT_TRUE(Opens(Take(wrapper)));
  EXPECT_TRUE(wrapper.has_ready());
  const LockPolicyScope unlocked(LockPolicy::kOff);
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

}  // namespace
}  // namespace nomyo
