// The locked pool: what it hands out, what it refuses, what it catches, and that its numbers are exact.
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "core/memory/fork_guard.h"
#include "core/memory/locked_pool.h"
#include "test/memory/fake_page_allocator.h"

namespace nomyo {
namespace {

constexpr auto kRequired = Locking::kRequired;
constexpr auto kPreferred = Locking::kPreferred;
constexpr auto kOff = Locking::kOff;

struct FakePool {
  explicit FakePool(std::size_t retain = 0) { options.retain_bytes = retain; }

  void* Take(std::size_t size, Locking locking = kRequired) { return pool().Allocate(size, locking, &refusal); }

  LockedPool& pool() {
    if (!made) made = std::make_unique<LockedPool>(std::make_unique<FakePageAllocator>(&control), options);
    return *made;
  }

  FakePageAllocator::Control control;
  LockedPool::Options options{std::size_t{256} << 20, 0};
  LockedPool::Refusal refusal = LockedPool::Refusal::kNone;
  std::unique_ptr<LockedPool> made;
};

std::unique_ptr<LockedPool> RealPool(const char* mechanism, std::size_t retain = 0) {
  auto pool =
      std::make_unique<LockedPool>(NewSystemPageAllocator(), LockedPool::Options{std::size_t{256} << 20, retain});
  if (!pool->ChooseMechanism(mechanism)) return nullptr;
  return pool;
}

bool AllZero(const void* memory, std::size_t size) {
  const auto* bytes = static_cast<const unsigned char*>(memory);
  return std::all_of(bytes, bytes + size, [](unsigned char byte) { return byte == 0; });
}

// The flags of the mapping that holds an address, from /proc/self/smaps ("VmFlags: rd wr mr ...").
std::string VmFlags(const void* address) {
  std::ifstream smaps("/proc/self/smaps");
  bool here = false;
  for (std::string line; std::getline(smaps, line);) {
    std::uintptr_t from = 0;
    std::uintptr_t to = 0;
    if (std::sscanf(line.c_str(), "%lx-%lx ", &from, &to) == 2) {
      const auto at = reinterpret_cast<std::uintptr_t>(address);
      here = at >= from && at < to;
    }
    if (here && line.starts_with("VmFlags:")) return line + " ";
  }
  return {};
}

const std::vector<std::size_t> kSizes = {1,     15,    16,    17,      31,        128,       129,   512,
                                         513,   1024,  4095,  4096,    8192,      8193,      32768, 32769,
                                         65535, 65536, 65537, 100'000, 1'000'000, 10'485'760};

TEST(LockedPool, GivesZeroedAlignedMemoryOfEverySizeAndWipesItForTheNext) {
  FakePool fake(64 << 20);  // keeps all, so that the same memory comes again
  for (const std::size_t size : kSizes) {
    for (int round = 0; round < 3; ++round) {
      void* memory = fake.Take(size);
      ASSERT_NE(memory, nullptr) << size;
      EXPECT_EQ(reinterpret_cast<std::uintptr_t>(memory) % 16, 0u) << size;
      EXPECT_TRUE(AllZero(memory, size)) << size;
      EXPECT_EQ(fake.pool().SizeOf(memory), size);
      EXPECT_TRUE(fake.pool().Owns(memory));
      std::memset(memory, 0xa5, size);
      fake.pool().Free(memory);
    }
  }
}

TEST(LockedPool, WipesMemoryThatIsFreedWhateverTheLocking) {
  for (const Locking locking : {kRequired, kPreferred, kOff}) {
    for (const std::size_t size : {std::size_t{100}, std::size_t{60'000}, std::size_t{300'000}}) {
      FakePool fake(64 << 20);
      void* neighbour = fake.Take(size, locking);  // keeps the chunk in use
      auto* memory = static_cast<unsigned char*>(fake.Take(size, locking));
      std::memset(memory, 0xa5, size);
      fake.pool().Free(memory);
#if !defined(__SANITIZE_ADDRESS__)  // which rightly objects to the next line
      EXPECT_TRUE(AllZero(memory, size));
#endif
      fake.pool().Free(neighbour);
    }
  }
}

TEST(LockedPool, CountsExactly) {
  FakePool fake;
  LockedPool& pool = fake.pool();
  EXPECT_EQ(pool.stats().bytes_mapped, 0u);
  void* small = fake.Take(100);
  void* other = fake.Take(7);
  void* large = fake.Take(200'000);
  auto stats = pool.stats();
  EXPECT_EQ(stats.bytes_in_use, 200'107u);
  EXPECT_EQ(stats.bytes_peak, 200'107u);
  EXPECT_EQ(stats.allocations, 3u);
  EXPECT_EQ(stats.total_allocations, 3u);
  EXPECT_EQ(stats.chunks, 3u);
  EXPECT_EQ(stats.bytes_mapped, fake.control.mapped);
  EXPECT_EQ(stats.bytes_locked, fake.control.locked);
  pool.Free(large);
  pool.Free(small);
  stats = pool.stats();
  EXPECT_EQ(stats.bytes_in_use, 7u);
  EXPECT_EQ(stats.bytes_peak, 200'107u);
  EXPECT_EQ(stats.allocations, 1u);
  EXPECT_EQ(stats.bytes_mapped, fake.control.mapped);
  pool.Free(other);
  stats = pool.stats();
  EXPECT_EQ(stats.bytes_in_use, 0u);
  EXPECT_EQ(stats.allocations, 0u);
  EXPECT_EQ(stats.total_allocations, 3u);
  EXPECT_EQ(stats.chunks, 0u);
  EXPECT_EQ(stats.bytes_mapped, 0u);
  EXPECT_EQ(stats.bytes_locked, 0u);
  EXPECT_EQ(fake.control.mapped, 0u);
  EXPECT_EQ(fake.control.locked, 0u);
}

TEST(LockedPool, StaysExactUnderEightThreads) {
  FakePool fake(1 << 20);
  LockedPool& pool = fake.pool();
  std::vector<std::thread> threads;
  for (unsigned seed = 0; seed < 8; ++seed) {
    threads.emplace_back([&pool, seed] {
      std::mt19937 random(seed);
      std::vector<std::pair<unsigned char*, std::size_t>> live;
      for (int step = 0; step < 4000; ++step) {
        if (live.size() < 40 && random() % 2 == 0) {
          const std::size_t size = std::size_t{1} << (random() % 18);
          LockedPool::Refusal refusal{};
          auto* memory = static_cast<unsigned char*>(pool.Allocate(size, kRequired, &refusal));
          ASSERT_NE(memory, nullptr);
          ASSERT_TRUE(AllZero(memory, size));
          std::memset(memory, static_cast<int>(seed + 1), size);
          live.emplace_back(memory, size);
        } else if (!live.empty()) {
          std::swap(live[random() % live.size()], live.back());
          const auto [memory, size] = live.back();
          live.pop_back();
          // Nobody else has written into it.
          ASSERT_TRUE(std::all_of(memory, memory + size, [&](unsigned char byte) { return byte == seed + 1; }));
          pool.Free(memory);
        }
      }
      for (const auto& [memory, size] : live) pool.Free(memory);
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(pool.stats().bytes_in_use, 0u);
  EXPECT_EQ(pool.stats().allocations, 0u);
  EXPECT_LE(pool.stats().bytes_mapped, std::size_t{1} << 20);
  EXPECT_EQ(pool.stats().bytes_mapped, fake.control.mapped);
}

// ---- locking and limits
// ---------------------------------------------------------------------------------------------

TEST(LockedPool, RequiredIsRefusedWhenTheNthLockIsAndWorksAgainWhenMemoryIsFreed) {
  FakePool fake;
  fake.control.lock_limit = 600'000;
  std::vector<void*> taken;
  void* memory = nullptr;
  while ((memory = fake.Take(200'000)) != nullptr) taken.push_back(memory);
  EXPECT_EQ(taken.size(), 2u);
  EXPECT_EQ(fake.refusal, LockedPool::Refusal::kLock);
  EXPECT_EQ(fake.pool().Explain(fake.refusal, 200'000).code, Code::kMemoryLock);
  EXPECT_EQ(fake.pool().Explain(fake.refusal, 200'000).message,
            "refused 200000 bytes: mlock: ENOMEM (12, Cannot allocate memory)");
  EXPECT_EQ(fake.pool().stats().allocations, 2u);
  fake.pool().Free(taken.back());
  EXPECT_NE(memory = fake.Take(200'000), nullptr);
  fake.pool().Free(memory);
  fake.pool().Free(taken.front());
}

TEST(LockedPool, RequiredNeverLandsInMemoryThatIsNotLocked) {
  for (std::size_t nth = 0; nth < 12; ++nth) {
    FakePool fake(1 << 20);
    fake.control.refuse_lock_from = nth;
    std::mt19937 random(static_cast<unsigned>(nth));
    std::vector<void*> live;
    for (int step = 0; step < 400; ++step) {
      const Locking locking = std::array{kRequired, kPreferred, kOff}[random() % 3];
      void* memory = fake.Take(kSizes[random() % (kSizes.size() - 2)], locking);
      if (locking != kRequired) {
        ASSERT_NE(memory, nullptr);
      }
      if (memory == nullptr) continue;
      const bool locked =
          std::any_of(fake.control.locked_ranges.begin(), fake.control.locked_ranges.end(),
                      [&](const auto& range) { return memory >= range.first && memory < range.first + range.second; });
      EXPECT_EQ(fake.pool().IsLocked(memory), locked);
      if (locking == kRequired) {
        EXPECT_TRUE(locked);
      }
      if (locking == kOff) {
        EXPECT_FALSE(locked);
      }
      live.push_back(memory);
      if (live.size() > 30) {
        fake.pool().Free(live.front());
        live.erase(live.begin());
      }
    }
    for (void* memory : live) fake.pool().Free(memory);
    EXPECT_EQ(fake.pool().stats().bytes_in_use, 0u);
  }
}

TEST(LockedPool, PreferredGoesOnUnlockedAndSaysSo) {
  FakePool fake;
  fake.control.refuse_lock_from = 0;
  EXPECT_FALSE(fake.pool().degraded());
  void* memory = fake.Take(1000, kPreferred);
  ASSERT_NE(memory, nullptr);
  EXPECT_FALSE(fake.pool().IsLocked(memory));
  EXPECT_TRUE(fake.pool().degraded());
  EXPECT_EQ(fake.pool().Mechanism(), "none");
  EXPECT_EQ(fake.pool().stats().bytes_locked, 0u);
  fake.pool().Free(memory);
}

TEST(LockedPool, OffDoesNotTryToLock) {
  FakePool fake;
  void* memory = fake.Take(1000, kOff);
  ASSERT_NE(memory, nullptr);
  EXPECT_EQ(fake.control.locks_tried, 0u);
  EXPECT_FALSE(fake.pool().degraded());
  fake.pool().Free(memory);
}

TEST(LockedPool, GivesUpWhatItKeepsBeforeItRefuses) {
  FakePool fake(1 << 20);
  fake.control.lock_limit = 400'000;
  fake.pool().Free(fake.Take(300'000));
  EXPECT_GT(fake.pool().stats().bytes_mapped, 0u);  // kept
  void* memory = fake.Take(60'000);                 // another kind of chunk, for which there is no room otherwise
  ASSERT_NE(memory, nullptr);
  fake.pool().Free(memory);
}

TEST(LockedPool, UsesALockedSlotOfALargerClassWhenNoMoreCanBeLocked) {
  FakePool fake;
  void* holder = fake.Take(4000);
  fake.control.refuse_lock_from = 0;
  void* memory = fake.Take(20);
  ASSERT_NE(memory, nullptr);
  EXPECT_TRUE(fake.pool().IsLocked(memory));
  EXPECT_EQ(fake.pool().SizeOf(memory), 20u);
  fake.pool().Free(memory);
  fake.pool().Free(holder);
  EXPECT_EQ(fake.pool().stats().bytes_in_use, 0u);
}

TEST(LockedPool, ReportsThatTheSystemHasNoMemory) {
  FakePool fake;
  fake.control.no_memory = true;
  EXPECT_EQ(fake.Take(100), nullptr);
  EXPECT_EQ(fake.refusal, LockedPool::Refusal::kMemory);
  EXPECT_EQ(fake.pool().Explain(fake.refusal, 100).code, Code::kOutOfMemory);
  EXPECT_EQ(fake.Take(std::size_t{1} << 40), nullptr);
  EXPECT_EQ(fake.refusal, LockedPool::Refusal::kMemory);
}

TEST(LockedPool, KeepsNoMoreThanAQuarterOfTheLockLimit) {
  FakePool fake(16 << 20);
  fake.control.report_limit = true;
  fake.control.lock_limit = 2 << 20;
  std::vector<void*> taken;
  for (int i = 0; i < 5; ++i) taken.push_back(fake.Take(300'000));
  for (void* memory : taken) fake.pool().Free(memory);
  EXPECT_LE(fake.pool().stats().bytes_mapped, std::size_t{512} << 10);
  EXPECT_GT(fake.pool().stats().bytes_mapped, 0u);
}

TEST(LockedPool, ReportsTheMechanismOfEachChunkAndMixedWhenTheyDiffer) {
  FakePool fake;
  fake.control.weaker_from = 1;
  EXPECT_EQ(fake.pool().Mechanism(), "memfd_secret");  // what will be tried
  void* first = fake.Take(100'000);
  EXPECT_EQ(fake.pool().Mechanism(), "memfd_secret");
  EXPECT_FALSE(fake.pool().setbacks().weaker);
  void* second = fake.Take(200'000);
  ASSERT_NE(second, nullptr);
  EXPECT_EQ(fake.pool().Mechanism(), "mixed");
  const auto stats = fake.pool().stats();
  const auto by = [&stats](LockMechanism each) { return stats.bytes_locked_by[static_cast<std::size_t>(each)]; };
  EXPECT_GE(by(LockMechanism::kMemfdSecret), 100'000u);
  EXPECT_LT(by(LockMechanism::kMemfdSecret), 200'000u);
  EXPECT_GE(by(LockMechanism::kMlock), 200'000u);
  EXPECT_EQ(by(LockMechanism::kMemfdSecret) + by(LockMechanism::kMlock), stats.bytes_locked);
  const LockFailure why = fake.pool().setbacks().weaker;
  EXPECT_EQ(std::string(why.call), "memfd_secret");
  EXPECT_EQ(why.error, EMFILE);
  EXPECT_FALSE(fake.pool().degraded());  // all of it is locked
  fake.pool().Free(first);
  EXPECT_EQ(fake.pool().Mechanism(), "mlock");
  fake.pool().Free(second);
}

TEST(LockedPool, ADemandedMechanismIsRefusedRatherThanReplaced) {
  FakePool fake;
  fake.control.weaker_from = 1;
  ASSERT_TRUE(fake.pool().ChooseMechanism("memfd_secret").ok());
  void* first = fake.Take(100'000);
  EXPECT_EQ(fake.Take(200'000), nullptr);
  EXPECT_EQ(fake.refusal, LockedPool::Refusal::kLock);
  const Error error = fake.pool().Explain(fake.refusal, 200'000);
  EXPECT_EQ(error.code, Code::kMemoryLock);
  EXPECT_NE(error.message.find("memfd_secret: EMFILE"), std::string::npos) << error.message;
  EXPECT_EQ(fake.pool().Mechanism(), "memfd_secret");
  fake.pool().Free(first);
}

TEST(LockedPool, ADemandForWhatTheSystemDoesNotHaveFails) {
  FakePool fake;
  fake.control.has_first_choice = false;
  const Status status = fake.pool().ChooseMechanism("memfd_secret");
  EXPECT_EQ(status.error().code, Code::kMemoryLock);
  EXPECT_NE(status.error().message.find("ENOSYS"), std::string::npos);
  EXPECT_TRUE(fake.pool().ChooseMechanism("mlock").ok());  // nothing was chosen yet
}

TEST(LockedPool, OneProcessHasOneChosenMechanism) {
  FakePool fake;
  EXPECT_EQ(fake.pool().ChooseMechanism("unheard-of").error().code, Code::kUnsupported);
  EXPECT_TRUE(fake.pool().ChooseMechanism("mlock").ok());
  EXPECT_EQ(fake.pool().Mechanism(), "mlock");
  fake.pool().Free(fake.Take(1));
  EXPECT_TRUE(fake.pool().ChooseMechanism("mlock").ok());
  const Status other = fake.pool().ChooseMechanism("memfd_secret");
  EXPECT_EQ(other.error().code, Code::kInvalidArgument);
  EXPECT_NE(other.error().message.find("by mlock"), std::string::npos);
}

TEST(LockedPool, AMechanismCanBeChosenWhileNothingOfAnotherIsInUse) {
  FakePool fake(1 << 20);
  void* memory = fake.Take(1000);
  EXPECT_TRUE(fake.pool().ChooseMechanism("memfd_secret").ok());  // it is what there is
  fake.pool().Free(memory);

  FakePool late(1 << 20);
  memory = late.Take(1000);
  EXPECT_EQ(late.pool().ChooseMechanism("mlock").error().code, Code::kInvalidArgument);
  late.pool().Free(memory);
  EXPECT_TRUE(late.pool().ChooseMechanism("mlock").ok());  // what was kept empty is given up
  memory = late.Take(1000);
  EXPECT_EQ(late.pool().Mechanism(), "mlock");
  late.pool().Free(memory);
}

TEST(LockedPool, PublicDataIsLockedWhileThereIsRoomAndDegradesNothingOtherwise) {
  FakePool fake;
  void* memory = fake.Take(1000, Locking::kPublic);
  EXPECT_TRUE(fake.pool().IsLocked(memory));
  fake.control.refuse_lock_from = 0;
  void* other = fake.Take(100'000, Locking::kPublic);
  ASSERT_NE(other, nullptr);
  EXPECT_FALSE(fake.pool().IsLocked(other));
  EXPECT_FALSE(fake.pool().degraded());
  fake.pool().Free(memory);
  fake.pool().Free(other);
}

TEST(LockedPool, ExplainsALockLimitWithItsSizeAndTheRemedies) {
  const auto pages = NewSystemPageAllocator();
  const std::string text = pages->ExplainRefusal(12345, {"mlock", ENOMEM, LockFailure::Cause::kLimit});
  for (const char* part : {"mlock: ENOMEM (12", "12345 bytes", "RLIMIT_MEMLOCK", "Raise the limit", "ulimit -l",
                           "LimitMEMLOCK", "--ulimit memlock", "Kubernetes"}) {
    EXPECT_NE(text.find(part), std::string::npos) << part << " is missing in: " << text;
  }
}

TEST(LockedPool, TellsAJailAndALackOfMemoryFromALimit) {
  const auto pages = NewSystemPageAllocator();
  const std::string jail = pages->ExplainRefusal(12345, {"mlock", EPERM, LockFailure::Cause::kJail});
  for (const char* part : {"mlock: EPERM (1", "which is not the cause", "seccomp", "SystemCallFilter"}) {
    EXPECT_NE(jail.find(part), std::string::npos) << part << " is missing in: " << jail;
  }
  const std::string memory = pages->ExplainRefusal(12345, {"mremap", ENOMEM, LockFailure::Cause::kMemory});
  EXPECT_NE(memory.find("mremap: ENOMEM (12"), std::string::npos);
  EXPECT_NE(memory.find("vm.max_map_count"), std::string::npos);
  for (const std::string& text : {jail, memory}) EXPECT_EQ(text.find("Raise the limit"), std::string::npos) << text;
}

// ---- fragmentation and return of memory
// -----------------------------------------------------------------------------------

TEST(LockedPool, GivesAllMemoryBackExceptWhatItMayKeep) {
  FakePool fake(256 << 10);
  std::vector<void*> live;
  std::mt19937 random(1);
  for (int i = 0; i < 20'000; ++i) live.push_back(fake.Take(1 + random() % 2000));
  EXPECT_GT(fake.control.mapped, std::size_t{16} << 20);
  std::shuffle(live.begin(), live.end(), random);
  for (void* memory : live) fake.pool().Free(memory);
  EXPECT_LE(fake.control.mapped, std::size_t{256} << 10);
  fake.pool().Trim();
  EXPECT_EQ(fake.control.mapped, 0u);
}

TEST(LockedPool, BoundsFragmentationInAMillionMixedAllocations) {
  FakePool fake(1 << 20);
  std::mt19937 random(7);
  std::vector<void*> live(512, nullptr);
  // 16 B to 64 KiB, every doubling as likely as any other.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  constexpr int kSteps = 50'000;  // a sanitizer takes its time for each
#else
  constexpr int kSteps = 1'000'000;
#endif
  for (int step = 0; step < kSteps; ++step) {
    void*& place = live[random() % live.size()];
    fake.pool().Free(place);
    const std::size_t least = std::size_t{16} << (random() % 12);
    place = fake.Take(least + random() % least);
    ASSERT_NE(place, nullptr);
  }
  const auto stats = fake.pool().stats();
  // At the end, and at the worst moment: under 1.5 times the use, plus what may be kept and one chunk for each class.
  constexpr std::size_t kConstant = std::size_t{4} << 20;
  EXPECT_LE(stats.bytes_mapped, stats.bytes_in_use * 3 / 2 + kConstant);
  EXPECT_LE(fake.control.largest_mapped, stats.bytes_peak * 3 / 2 + kConstant);
  for (void* memory : live) fake.pool().Free(memory);
  EXPECT_LE(fake.control.mapped, std::size_t{1} << 20);
}

TEST(LockedPool, ReusesAddressSpace) {
  FakePool fake;
  fake.options.reserve_bytes = std::size_t{32} << 20;
  std::mt19937 random(3);
  for (int round = 0; round < 400; ++round) {
    // Far more in total than the reservation, in sizes that leave holes.
    void* first = fake.Take(100'000 + random() % 4'000'000);
    void* second = fake.Take(100'000 + random() % 4'000'000);
    ASSERT_NE(first, nullptr);
    ASSERT_NE(second, nullptr);
    fake.pool().Free(first);
    fake.pool().Free(second);
  }
}

// ---- corruption: the process must die
// ---------------------------------------------------------------------------------------

#if !defined(__SANITIZE_ADDRESS__)  // which finds the bad write itself, before the pool can

void Overrun(std::size_t size, std::ptrdiff_t at) {
  FakePool fake;
  auto* memory = static_cast<volatile unsigned char*>(fake.Take(size));
  memory[at] = static_cast<unsigned char>(memory[at] ^ 1);
  fake.pool().Free(const_cast<unsigned char*>(memory));
}

TEST(LockedPoolDeathTest, AByteBeyondTheEndIsFoundWhenItIsFreed) {
  for (const std::size_t size : {1u, 16u, 100u, 5000u, 65536u, 200'000u}) {
    EXPECT_EXIT(Overrun(size, static_cast<std::ptrdiff_t>(size)), testing::KilledBySignal(SIGABRT),
                "beyond the end of an allocation")
        << size;
    EXPECT_EXIT(Overrun(size, static_cast<std::ptrdiff_t>(size) + 15), testing::KilledBySignal(SIGABRT),
                "beyond the end of an allocation")
        << size;
  }
}

TEST(LockedPoolDeathTest, AByteBeforeTheStartIsFoundWhenItIsFreed) {
  for (const std::size_t size : {16u, 5000u, 200'000u}) {
    EXPECT_EXIT(Overrun(size, -1), testing::KilledBySignal(SIGABRT), "before the start of an allocation") << size;
    EXPECT_EXIT(Overrun(size, -16), testing::KilledBySignal(SIGABRT), "before the start of an allocation") << size;
  }
}

#if !defined(__SANITIZE_THREAD__)  // which catches the signal

// The pages before and after a chunk: at most a page away from a large allocation's ends.
TEST(LockedPoolDeathTest, GuardPagesStopAReadOrWriteThatRunsAway) {
  for (const char* mechanism : {"memfd_secret", "mlock"}) {
    auto probe = RealPool(mechanism);
    if (!probe) {
      std::printf("no %s on this system: not shown\n", mechanism);
      continue;
    }
    for (const std::size_t size : {std::size_t{100}, std::size_t{70'000}, std::size_t{1'000'000}}) {
      EXPECT_EXIT(
          {
            auto pool = RealPool(mechanism);
            LockedPool::Refusal refusal{};
            auto* memory = static_cast<volatile unsigned char*>(pool->Allocate(size, kRequired, &refusal));
            for (std::size_t at = size; at < size + (std::size_t{1} << 17); ++at) static_cast<void>(memory[at]);
          },
          testing::KilledBySignal(SIGSEGV), "")
          << mechanism << " " << size;
      EXPECT_EXIT(
          {
            auto pool = RealPool(mechanism);
            LockedPool::Refusal refusal{};
            auto* memory = static_cast<volatile unsigned char*>(pool->Allocate(size, kRequired, &refusal));
            for (std::ptrdiff_t at = 0; at > -(std::ptrdiff_t{1} << 17); --at) memory[at] = 0;
          },
          testing::KilledBySignal(SIGSEGV), "")
          << mechanism << " " << size;
    }
    // A large allocation ends within 16 bytes of the guard page, and its canary: 32 bytes on, the process is dead.
    EXPECT_EXIT(
        {
          auto pool = RealPool(mechanism);
          LockedPool::Refusal refusal{};
          auto* memory = static_cast<volatile unsigned char*>(pool->Allocate(1'000'000, kRequired, &refusal));
          static_cast<void>(memory[1'000'000 + 32]);
        },
        testing::KilledBySignal(SIGSEGV), "");
  }
}

#endif

#endif

TEST(LockedPoolDeathTest, FreeingTwiceAborts) {
  for (const std::size_t size : {16u, 5000u, 200'000u}) {
    for (const std::size_t retain : {std::size_t{0}, std::size_t{1} << 20}) {
      EXPECT_EXIT(
          {
            FakePool fake(retain);
            void* neighbour = fake.Take(size);
            void* memory = fake.Take(size);
            fake.pool().Free(memory);
            fake.pool().Free(memory);
            fake.pool().Free(neighbour);
          },
          testing::KilledBySignal(SIGABRT), "freed twice")
          << size;
    }
  }
}

TEST(LockedPoolDeathTest, FreeingWhatWasNeverHandedOutAborts) {
  EXPECT_EXIT(
      {
        FakePool fake;
        auto* memory = static_cast<std::byte*>(fake.Take(100));
        fake.pool().Free(memory + 16);
      },
      testing::KilledBySignal(SIGABRT), "never made");
  EXPECT_EXIT(
      {
        FakePool fake;
        int here = 0;
        fake.pool().Free(&here);
      },
      testing::KilledBySignal(SIGABRT), "not the pool's");
}

// ---- the real mechanisms
// -----------------------------------------------------------------------------------------------------

class RealMechanism : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    pool_ = RealPool(GetParam());
    if (!pool_) GTEST_SKIP() << "this system has no " << GetParam();
  }
  std::unique_ptr<LockedPool> pool_;
  LockedPool::Refusal refusal_{};
};

TEST_P(RealMechanism, LocksItsPagesAndKeepsThemOutOfDumps) {
  for (const std::size_t size : {std::size_t{100}, std::size_t{300'000}}) {
    void* memory = pool_->Allocate(size, kRequired, &refusal_);
    ASSERT_NE(memory, nullptr);
    const std::string flags = VmFlags(memory);
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    const bool shows = GetParam() != std::string("mlock");  // sanitizers make mlock do nothing
#else
    const bool shows = true;
#endif
    EXPECT_EQ(flags.find(" lo ") != std::string::npos, shows) << flags;  // locked
    EXPECT_NE(flags.find(" dd "), std::string::npos) << flags;           // not dumped
    // Not in children: left out altogether, or empty there.
    EXPECT_NE(flags.find(GetParam() == std::string("mlock") ? " wf " : " dc "), std::string::npos) << flags;
    EXPECT_TRUE(pool_->IsLocked(memory));
    EXPECT_EQ(pool_->Mechanism(), GetParam());
    pool_->Free(memory);
  }
  EXPECT_EQ(pool_->stats().bytes_mapped, 0u);
}

TEST_P(RealMechanism, UnlockedMemoryIsNotDumpedEither) {
  void* memory = pool_->Allocate(300'000, kOff, &refusal_);
  ASSERT_NE(memory, nullptr);
  const std::string flags = VmFlags(memory);
  EXPECT_EQ(flags.find(" lo "), std::string::npos) << flags;
  EXPECT_NE(flags.find(" dd "), std::string::npos) << flags;
  EXPECT_NE(flags.find(" wf "), std::string::npos) << flags;
  pool_->Free(memory);
}

TEST_P(RealMechanism, AChildOfForkCannotReadTheSecret) {
  auto* memory = static_cast<unsigned char*>(pool_->Allocate(300'000, kRequired, &refusal_));
  ASSERT_NE(memory, nullptr);
  std::memset(memory, 0x5a, 300'000);
  const pid_t child = fork();
  if (child == 0) {
    signal(SIGSEGV, SIG_DFL);
    volatile unsigned char byte = memory[1000];  // dies, or reads a zero
    _exit(byte == 0x5a ? 1 : 0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_TRUE((WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV) || (WIFEXITED(status) && WEXITSTATUS(status) == 0));
  pool_->Free(memory);
}

// A fork() that no exec follows. `work` runs in the child; its value is the child's exit code, or -signal.
template <class Work>
int InForkedChildOf(Work work) {
  const pid_t child = fork();
  if (child == 0) {
    for (const int fault : {SIGSEGV, SIGBUS, SIGABRT}) signal(fault, SIG_DFL);
    _exit(work());
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

TEST_P(RealMechanism, AForkedChildIsRefusedMemoryAndCrashesOnNoneOfTheParents) {
  auto* memory = static_cast<unsigned char*>(pool_->Allocate(1000, kRequired, &refusal_));
  ASSERT_NE(memory, nullptr);
  EXPECT_EQ(InForkedChildOf([&] {
              LockedPool::Refusal refusal;
              for (const auto locking : {kRequired, kPreferred, kOff}) {
                if (pool_->Allocate(10, locking, &refusal) != nullptr) return 10;
                if (!(refusal == LockedPool::Refusal::kForked)) return 11;
              }
              const Error error = pool_->Explain(refusal, 10);
              if (error.code != Code::kMemoryLock || error.message.find("fork()") == std::string::npos) return 12;
              if (pool_->IsLocked(memory) || pool_->SizeOf(memory) != 0) return 13;
              if (pool_->ChooseMechanism("mlock")) return 14;
              pool_->Free(memory);
              pool_->Trim();
              return pool_->stats().bytes_in_use == 0 && pool_->Mechanism() == "none" ? 0 : 15;
            }),
            0);
  // The parent's is as it was.
  EXPECT_FALSE(InForkedChild());
  EXPECT_EQ(pool_->stats().bytes_in_use, 1000u);
  pool_->Free(memory);
}

TEST_P(RealMechanism, AChildWhoseOtherThreadHeldTheLockDoesNotWaitForIt) {
  std::atomic<bool> stop{false};
  std::thread busy([&] {
    LockedPool::Refusal refusal;
    while (!stop) pool_->Free(pool_->Allocate(100, kRequired, &refusal));
  });
  for (int i = 0; i < 50; ++i) {
    EXPECT_EQ(InForkedChildOf([&] {
                alarm(20);  // SIGALRM ends it
                LockedPool::Refusal refusal;
                return pool_->Allocate(10, kRequired, &refusal) == nullptr && pool_->stats().allocations == 0 ? 0 : 10;
              }),
              0);
  }
  stop = true;
  busy.join();
}

TEST_P(RealMechanism, ProcPidMemSeesItOnlyWithMlock) {
  // The kernel's own door to another process's memory, which root and debuggers use.
  auto* memory = static_cast<unsigned char*>(pool_->Allocate(4096, kRequired, &refusal_));
  ASSERT_NE(memory, nullptr);
  std::memset(memory, 0x5a, 4096);
  std::FILE* door = std::fopen("/proc/self/mem", "rb");
  ASSERT_NE(door, nullptr);
  unsigned char copy[64] = {};
  std::fseek(door, static_cast<long>(reinterpret_cast<std::uintptr_t>(memory)), SEEK_SET);
  const std::size_t read = std::fread(copy, 1, sizeof copy, door);
  std::fclose(door);
  EXPECT_EQ(read, GetParam() == std::string("mlock") ? sizeof copy : 0u);
  pool_->Free(memory);
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)  // whose shadow memory does not fit such a limit
TEST_P(RealMechanism, WorksInAnAddressSpaceLimit) {
  EXPECT_EXIT(
      {
        std::size_t pages = 0;
        std::ifstream("/proc/self/statm") >> pages;
        rlimit limit{};
        limit.rlim_cur = pages * 4096 + (std::size_t{200} << 20);
        limit.rlim_max = RLIM_INFINITY;
        setrlimit(RLIMIT_AS, &limit);
        LockedPool pool(NewSystemPageAllocator(), LockedPool::Options{});
        LockedPool::Refusal refusal{};
        _exit(pool.Allocate(100, kRequired, &refusal) != nullptr ? 0 : 1);
      },
      testing::ExitedWithCode(0), "");
}
#endif

void AllowFewDescriptors() {
  const rlimit limit{64, 64};
  setrlimit(RLIMIT_NOFILE, &limit);
}

// Takes every file descriptor that this process may have, for its own lifetime.
class NoDescriptors {
 public:
  NoDescriptors() {
    for (int fd = dup(0); fd >= 0; fd = dup(0)) taken_.push_back(fd);
  }
  ~NoDescriptors() {
    for (const int fd : taken_) close(fd);
  }

 private:
  std::vector<int> taken_;
};

TEST(Descriptors, ASpareOneServesSecretMemoryWhenThereAreNoneLeft) {
  EXPECT_EXIT(
      {
        AllowFewDescriptors();
        auto pool = RealPool("memfd_secret");
        if (!pool) _exit(0);  // this system has none
        LockedPool::Refusal refusal;
        if (pool->Allocate(100, kRequired, &refusal) == nullptr) _exit(10);
        auto none = std::make_unique<NoDescriptors>();
        std::vector<const void*> taken;
        for (int i = 0; i < 10; ++i) taken.push_back(pool->Allocate(100'000, kRequired, &refusal));
        none.reset();  // the kernel's flags are read from a file
        for (const void* memory : taken) {
          if (memory == nullptr || VmFlags(memory).find(" dc ") == std::string::npos) _exit(11);
        }
        if (pool->Mechanism() != "memfd_secret") _exit(13);
        _exit(0);
      },
      testing::ExitedWithCode(0), "");
}

TEST(Descriptors, WithoutASpareOneMemoryIsLockedOtherwiseAndItIsSaid) {
  EXPECT_EXIT(
      {
        if (!RealPool("memfd_secret")) _exit(0);  // this system has none
        AllowFewDescriptors();
        LockedPool best(NewSystemPageAllocator(), LockedPool::Options{std::size_t{64} << 20, 0});
        LockedPool demanded(NewSystemPageAllocator(), LockedPool::Options{std::size_t{64} << 20, 0});
        const NoDescriptors none;
        LockedPool::Refusal refusal;
        if (best.Allocate(100'000, kRequired, &refusal) == nullptr) _exit(10);
        if (best.Mechanism() != "mlock") _exit(11);
        const LockFailure why = best.setbacks().weaker;
        if (!why || why.error != EMFILE || why.cause != LockFailure::Cause::kDescriptors) _exit(12);
        static_cast<void>(demanded.ChooseMechanism("memfd_secret"));
        if (demanded.Allocate(100'000, kRequired, &refusal) != nullptr) _exit(13);
        if (demanded.Explain(refusal, 100'000).message.find("EMFILE") == std::string::npos) _exit(14);
        _exit(0);
      },
      testing::ExitedWithCode(0), "");
}

TEST(Descriptors, ANumberThatIsAnothersFileNowIsLeftAlone) {
  EXPECT_EXIT(
      {
        AllowFewDescriptors();
        auto pool = RealPool("memfd_secret");
        if (!pool) _exit(0);  // this system has none
        LockedPool::Refusal refusal;
        if (pool->Allocate(100, kRequired, &refusal) == nullptr) _exit(10);
        // Somebody closes all that he does not know, and opens files of his own.
        for (int fd = 3; fd < 64; ++fd) close(fd);
        std::FILE* file = std::tmpfile();
        const NoDescriptors none;
        if (pool->Allocate(100'000, kRequired, &refusal) != nullptr) _exit(11);  // demanded, and there is none
        struct stat facts{};
        if (file == nullptr || fstat(fileno(file), &facts) != 0 || facts.st_size != 0) _exit(12);
        _exit(0);
      },
      testing::ExitedWithCode(0), "");
}

INSTANTIATE_TEST_SUITE_P(Linux, RealMechanism, testing::Values("memfd_secret", "mlock"));

}  // namespace
}  // namespace nomyo
