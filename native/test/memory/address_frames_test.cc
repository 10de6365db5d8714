// AddressFrames: what is taken is nobody else's, and what is given back is one piece again.
#include <algorithm>
#include <cstddef>
#include <optional>
#include <random>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "core/memory/address_frames.h"

namespace nomyo {
namespace {

TEST(AddressFrames, GivesTheFirstPieceThatIsLongEnough) {
  AddressFrames frames;
  frames.Reset(10);
  auto one = frames.Take(3);
  auto two = frames.Take(4);
  auto three = frames.Take(3);
  ASSERT_TRUE(one && two && three);
  EXPECT_EQ(one->first(), 0u);
  EXPECT_EQ(two->first(), 3u);
  EXPECT_EQ(three->first(), 7u);
  EXPECT_EQ(two->count(), 4u);
  EXPECT_EQ(frames.pieces(), 0u);
  EXPECT_FALSE(frames.Take(1));
  frames.Give(std::move(*two));
  EXPECT_FALSE(frames.Take(5));
  EXPECT_EQ(frames.Take(2)->first(), 3u) << "and dropped: a piece that is not given back stays taken";
  EXPECT_EQ(frames.Take(2)->first(), 5u);
  EXPECT_FALSE(frames.Take(1));
}

TEST(AddressFrames, NeighboursBecomeOneInWhateverOrderTheyComeBack) {
  std::vector<std::size_t> order{0, 1, 2, 3};
  do {
    AddressFrames frames;
    frames.Reset(8);
    std::vector<AddressFrames::Piece> pieces;
    for (int i = 0; i < 4; ++i) pieces.push_back(std::move(*frames.Take(2)));
    for (const std::size_t each : order) frames.Give(std::move(pieces[each]));
    EXPECT_EQ(frames.pieces(), 1u);
    EXPECT_EQ(frames.Take(8)->first(), 0u);
  } while (std::ranges::next_permutation(order).found);
}

TEST(AddressFrames, HasNoneWithoutARange) {
  AddressFrames frames;
  EXPECT_FALSE(frames.Take(1));
  frames.Reset(0);
  EXPECT_FALSE(frames.Take(1));
}

TEST(AddressFrames, NeverGivesAFrameTwice) {
  constexpr std::size_t kFrames = 64;
  std::mt19937 random(11);
  AddressFrames frames;
  frames.Reset(kFrames);
  std::vector<bool> taken(kFrames);
  std::vector<AddressFrames::Piece> live;
  for (int round = 0; round < 20'000; ++round) {
    if (random() % 2 == 0) {
      auto piece = frames.Take(1 + random() % 9);
      if (!piece) continue;
      for (std::size_t i = piece->first(); i < piece->first() + piece->count(); ++i) {
        ASSERT_FALSE(taken.at(i)) << round;
        taken[i] = true;
      }
      live.push_back(std::move(*piece));
    } else if (!live.empty()) {
      std::swap(live[random() % live.size()], live.back());
      for (std::size_t i = 0; i < live.back().count(); ++i) taken[live.back().first() + i] = false;
      frames.Give(std::move(live.back()));
      live.pop_back();
    }
  }
  for (auto& piece : live) frames.Give(std::move(piece));
  EXPECT_EQ(frames.pieces(), 1u);
  EXPECT_EQ(frames.Take(kFrames)->first(), 0u);
}

}  // namespace
}  // namespace nomyo
