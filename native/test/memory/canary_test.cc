// Canaries: every byte of both tells, and neither fits another slot, size or process.
#include <array>
#include <cstddef>
#include <cstring>
#include <set>

#include <gtest/gtest.h>

#include "core/memory/canary.h"

namespace nomyo {
namespace {

constexpr Canaries::Key kKey{0x1122334455667788, 0x99aabbccddeeff00};

// Room for two slots of an allocation of up to 64 bytes.
struct Memory {
  static constexpr std::size_t kSlot = 64 + kCanaryOverhead;
  alignas(16) std::array<std::byte, 2 * kSlot> bytes{};
};

class CanariesTest : public testing::Test {
 protected:
  CanariesTest() { canaries.SetKey(kKey); }
  Memory memory;
  std::byte* const slot = memory.bytes.data();
  Canaries canaries;
};

TEST_F(CanariesTest, AreWholeUntilAByteOfThemChanges) {
  for (std::size_t size = 1; size <= 64; ++size) {
    canaries.Seal(slot, size);
    ASSERT_EQ(canaries.Check(slot, size), Canaries::State::kWhole);
    std::memset(slot + kCanaryBytes, 0xA5, size);  // all of the allocation
    ASSERT_EQ(canaries.Check(slot, size), Canaries::State::kWhole);
    for (std::size_t at = 0; at < kCanaryOverhead; ++at) {
      const bool before = at < kCanaryBytes;
      std::byte& changed = slot[before ? at : at + size];
      changed ^= std::byte{1};
      ASSERT_EQ(canaries.Check(slot, size), before ? Canaries::State::kBrokenBefore : Canaries::State::kBrokenBehind);
      changed ^= std::byte{1};
    }
  }
}

TEST_F(CanariesTest, FitNoOtherSlotSizeOrKey) {
  canaries.Seal(slot, 32);
  ASSERT_EQ(canaries.Check(slot, 32), Canaries::State::kWhole);
  std::byte* const other = slot + Memory::kSlot;
  std::memcpy(other, slot, 32 + kCanaryOverhead);
  EXPECT_NE(canaries.Check(other, 32), Canaries::State::kWhole);
  EXPECT_NE(canaries.Check(slot, 31), Canaries::State::kWhole);
  Canaries foreign;
  foreign.SetKey({kKey[0], kKey[1] + 1});
  EXPECT_NE(foreign.Check(slot, 32), Canaries::State::kWhole);
  foreign.SetKey({kKey[0] + 1, kKey[1]});
  EXPECT_NE(foreign.Check(slot, 32), Canaries::State::kWhole);
}

TEST_F(CanariesTest, ThatWereWipedAreNotWhole) {
  canaries.Seal(slot, 16);
  ASSERT_EQ(canaries.Check(slot, 16), Canaries::State::kWhole);
  std::memset(slot, 0, 16 + kCanaryOverhead);
  EXPECT_EQ(canaries.Check(slot, 16), Canaries::State::kBrokenBefore);
}

}  // namespace
}  // namespace nomyo
