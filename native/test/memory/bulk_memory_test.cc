// Ordinary memory for much data: what it promises, whichever way it was got.
#include "core/memory/bulk_memory.h"
#include "core/memory/large_blocks.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <thread>
#include <utility>
#include <vector>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace nomyo {
namespace {

TEST(BulkMemory, GivesWhatWasAskedForOfEverySize) {
  for (const std::size_t size : {std::size_t{1}, std::size_t{4096}, BulkMemory::kMapped - 1, BulkMemory::kMapped,
                                 BulkMemory::kMapped + 1, std::size_t{12} << 20}) {
    BulkMemory memory = BulkMemory::Allocate(size);
    ASSERT_FALSE(memory.empty());
    ASSERT_GE(memory.size(), size);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(memory.data()) % 16, 0u);
    std::memset(memory.data(), 0xA5, memory.size());
    EXPECT_EQ(memory.data()[memory.size() - 1], 0xA5);
  }
}

TEST(BulkMemory, IsEmptyForNothingAndForTooMuch) {
  EXPECT_TRUE(BulkMemory::Allocate(0).empty());
  for (const std::size_t size : {SIZE_MAX, SIZE_MAX - 4096, SIZE_MAX / 2}) {
    EXPECT_TRUE(BulkMemory::Allocate(size).empty());
  }
}

TEST(BulkMemory, IsMovedAndGivenAway) {
  for (const std::size_t size : {std::size_t{100}, std::size_t{3} << 20}) {
    BulkMemory first = BulkMemory::Allocate(size);
    std::uint8_t* const data = first.data();
    BulkMemory second = std::move(first);
    EXPECT_EQ(second.data(), data);
    second = BulkMemory::Allocate(size);
    const std::size_t held = second.size();
    std::uint8_t* const released = second.Release();
    EXPECT_TRUE(second.empty());
    EXPECT_EQ(second.size(), 0u);
    released[held - 1] = 1;
    BulkMemory::Free(released, held);
  }
}

#if defined(__linux__)

bool IsMapped(const void* data) {
  unsigned char resident = 0;
  return mincore(const_cast<void*>(data), 4096, &resident) == 0;
}

TEST(BulkMemory, IsKeptForTheNextBlockOfItsSize) {
  BulkMemory first = BulkMemory::Allocate(std::size_t{12} << 20);
  std::uint8_t* const data = first.data();
  const std::size_t size = first.size();
  first = {};
  EXPECT_TRUE(IsMapped(data));
  // Less than half of it would waste more than it uses, and it is too small for more.
  const BulkMemory smaller = BulkMemory::Allocate(size / 2 - (std::size_t{3} << 20));
  const BulkMemory larger = BulkMemory::Allocate(size + 1);
  EXPECT_NE(smaller.data(), data);
  EXPECT_NE(larger.data(), data);
  BulkMemory again = BulkMemory::Allocate(size - (std::size_t{1} << 20));
  ASSERT_EQ(again.data(), data);
  EXPECT_EQ(again.size(), size);
  std::memset(again.data(), 0xA5, again.size());
}

TEST(BulkMemory, IsKeptUpToALimitTheOldestGoingFirst) {
  constexpr std::size_t kSize = std::size_t{8} << 20;
  constexpr std::size_t kBlocks = kKeptLargeBytes / kSize + 2;
  std::vector<BulkMemory> blocks;
  std::vector<const std::uint8_t*> freed;
  for (std::size_t i = 0; i < kBlocks; ++i) blocks.push_back(BulkMemory::Allocate(kSize));
  for (BulkMemory& block : blocks) {
    freed.push_back(block.data());
    block = {};
  }
  EXPECT_FALSE(IsMapped(freed[0]));
  EXPECT_FALSE(IsMapped(freed[1]));
  EXPECT_TRUE(std::all_of(freed.begin() + 2, freed.end(), IsMapped));
  EXPECT_EQ(BulkMemory::Allocate(kSize).data(), freed.back());

  BulkMemory huge = BulkMemory::Allocate(kKeptLargeBytes + 1);
  const std::uint8_t* const data = huge.data();
  huge = {};
  EXPECT_FALSE(IsMapped(data));
}

TEST(BulkMemory, IsTakenByOneThreadAtATime) {
  std::vector<std::thread> threads;
  std::atomic<int> wrong = 0;
  for (std::uint8_t mark = 1; mark <= 4; ++mark) {
    threads.emplace_back([mark, &wrong] {
      for (int i = 0; i < 200; ++i) {
        BulkMemory memory = BulkMemory::Allocate(BulkMemory::kMapped << (i % 3));
        memory.data()[0] = mark;
        memory.data()[memory.size() - 1] = mark;
        std::this_thread::yield();
        if (memory.data()[0] != mark || memory.data()[memory.size() - 1] != mark) ++wrong;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
}

#endif

}  // namespace
}  // namespace nomyo
