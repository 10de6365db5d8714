// Ordinary memory for much data: what it promises, whichever way it was got.
#include "core/memory/bulk_memory.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <utility>

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

}  // namespace
}  // namespace nomyo
