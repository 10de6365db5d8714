// Slots and size classes: which slot an allocation gets, and which addresses are none.
#include <cstddef>
#include <set>

#include <gtest/gtest.h>

#include "core/memory/size_class.h"
#include "core/memory/slots.h"

namespace nomyo {
namespace {

TEST(SizeClass, IsTheFirstThatASizeFitsInto) {
  for (std::size_t size = 1; size <= kLargestClass; ++size) {
    const std::size_t of = ClassOf(size);
    ASSERT_LT(of, kSizeClasses);
    ASSERT_GE(kClassBytes[of], size);
    ASSERT_TRUE(of == 0 || kClassBytes[of - 1] < size) << size;
  }
}

TEST(SizeClass, LosesAtMostAThirdAndHasFourSlotsInAChunk) {
  for (std::size_t each = 0; each < kSizeClasses; ++each) {
    const Geometry& chunk = kGeometry[GeometryOf(each)];
    EXPECT_GE(chunk.largest_class, kClassBytes[each]);
    EXPECT_GE(chunk.bytes / (kClassBytes[each] + kCanaryOverhead), 4u) << kClassBytes[each];
    EXPECT_EQ(kClassBytes[each] % 16, 0u);
    EXPECT_TRUE(kClassBytes[each] <= 64 || kClassBytes[each] * 2 <= kClassBytes[each - 1] * 3) << kClassBytes[each];
  }
}

TEST(Slots, AreTakenInTheirOrderUntilAllAre) {
  Slots slots;
  slots.Format(16 * 1024, ClassOf(64));
  ASSERT_EQ(slots.count(), 16 * 1024 / (64 + kCanaryOverhead));
  EXPECT_TRUE(slots.empty());
  for (std::uint32_t i = 0; i < slots.count(); ++i) {
    EXPECT_FALSE(slots.full());
    EXPECT_EQ(slots.Take(i + 1), i);
    EXPECT_EQ(slots.OffsetOf(i), i * (64 + kCanaryOverhead));
    EXPECT_EQ(slots.SizeOf(i), i + 1);
  }
  EXPECT_TRUE(slots.full());
}

TEST(Slots, AnAddressIsLiveOnlyWhereALiveSlotBegins) {
  Slots slots;
  slots.Format(64 * 1024, ClassOf(1024));
  for (int i = 0; i < 5; ++i) static_cast<void>(slots.Take(1000));
  slots.Retire(2);
  std::set<std::size_t> live;
  for (std::size_t offset = 0; offset < 70 * 1024; ++offset) {
    if (const auto slot = slots.LiveAt(offset)) {
      EXPECT_EQ(slots.OffsetOf(*slot), offset);
      live.insert(*slot);
    }
  }
  EXPECT_EQ(live, (std::set<std::size_t>{0, 1, 3, 4}));
}

TEST(Slots, OneThatIsWipedIsNeitherLiveNorGivenAgain) {
  Slots slots;
  slots.Format(16 * 1024, ClassOf(512));
  for (std::uint32_t i = 0; i < slots.count(); ++i) static_cast<void>(slots.Take(500));
  slots.Retire(3);
  EXPECT_TRUE(slots.full());
  EXPECT_FALSE(slots.LiveAt(slots.OffsetOf(3)));
  slots.Give(3);
  EXPECT_FALSE(slots.full());
  EXPECT_FALSE(slots.LiveAt(slots.OffsetOf(3)));
  EXPECT_EQ(slots.Take(9), 3u);
  EXPECT_EQ(slots.SizeOf(3), 9u);
  EXPECT_TRUE(slots.LiveAt(slots.OffsetOf(3)));
}

TEST(Slots, AreDividedAgainForAnotherClass) {
  Slots slots;
  slots.Format(16 * 1024, ClassOf(512));
  const std::uint32_t slot = slots.Take(512);
  slots.Retire(slot);
  slots.Give(slot);
  EXPECT_TRUE(slots.empty());
  slots.Format(16 * 1024, ClassOf(16));
  EXPECT_EQ(slots.size_class(), 0u);
  EXPECT_EQ(slots.count(), 16 * 1024 / (16 + kCanaryOverhead));
  for (std::uint32_t i = 0; i < slots.count(); ++i) EXPECT_EQ(slots.Take(16), i);
  EXPECT_TRUE(slots.full());
}

}  // namespace
}  // namespace nomyo
