// Which classes can win somewhere in a block of output pixels.
//
// Every pixel is a weighted mean of the samples around, no weight below 0. So a class
// that wins at all of them wins everywhere between; and a class that is below the mean
// of some others at all of them is below one of those others everywhere.
#pragma once

#include <cstdint>

#include "common/tiles.h"

namespace fuseg::FUSEG_LEVEL {

constexpr int kMostWinners = 4;  // with more of them, leaving classes out hardly pays

// What the samples of a near block are won by.
struct Winners {
  Ints upper;
  Ints lower;
  unsigned lanes;  // the block's own, among the vector's

  Winners(const BandWork& work, const Block& block)
      : upper(load(work.upper.winner + block.base)),
        lower(load(work.lower.winner + block.base)),
        lanes((2u << (block.count - 1)) - 1) {}

  // Lanes of either row that another class wins.
  unsigned other(std::int32_t label) const {
    const Mask same = both(equal(upper, all(label)), equal(lower, all(label)));
    return ~bits(same) & lanes;
  }
};

// Lowered by more than rounding can amount to, here and where pixels are blended.
inline Floats lowered(Floats bar, Floats size) {
  return sub(bar, fma(size, all(1e-6f), all(1e-36f)));
}

// Whether only these two can win.
inline bool two_only(const BandWork& work, const Block& block, const Winners& winners,
                     std::int32_t one, std::int32_t other) {
  const auto stays = [&](const PackedRow& row, Ints winner) {
    const Floats score = load(row.scores + one * row.stride + block.base);
    const Floats rival = load(row.scores + other * row.stride + block.base);
    const Floats sum = add(score, rival);
    const Floats bar = lowered(mul(sum, all(0.5f)), add(abs(score), abs(rival)));
    const Ints second = load(row.second + block.base);
    const Mask third = greater(bar, load(row.second_score + block.base));
    const Mask runner_up = either(equal(second, all(one)), equal(second, all(other)));
    const Mask won = either(equal(winner, all(one)), equal(winner, all(other)));
    return both(won, either(runner_up, third));
  };
  const Mask stay =
      both(stays(work.upper, winners.upper), stays(work.lower, winners.lower));
  return (~bits(stay) & winners.lanes) == 0;
}

// Lists the classes that may win, in order; 0 of them if too many win at the samples.
inline int list_contenders(const BandWork& work, const Block& block,
                           const Winners& winners, int classes) {
  const PackedRow& up = work.upper;
  const PackedRow& down = work.lower;
  Floats up_sum = all(0.0f), down_sum = up_sum, up_size = up_sum, down_size = up_sum;
  unsigned upper_left = winners.lanes;
  unsigned lower_left = winners.lanes;
  int count = 0;
  while ((upper_left | lower_left) != 0) {
    if (count++ == kMostWinners) return 0;
    const std::int32_t label =
        upper_left != 0 ? up.winner[block.base + __builtin_ctz(upper_left)]
                        : down.winner[block.base + __builtin_ctz(lower_left)];
    upper_left &= ~bits(equal(winners.upper, all(label)));
    lower_left &= ~bits(equal(winners.lower, all(label)));
    const Floats above = load(up.scores + label * up.stride + block.base);
    const Floats below = load(down.scores + label * up.stride + block.base);
    up_sum = add(up_sum, above);
    down_sum = add(down_sum, below);
    up_size = add(up_size, abs(above));
    down_size = add(down_size, abs(below));
  }
  const Floats share = all(1.0f / static_cast<float>(count));
  const Mask own = first_lanes_mask(block.count);
  const Floats up_bar =
      select(own, lowered(mul(up_sum, share), up_size), all(kInfinity));
  const Floats down_bar =
      select(own, lowered(mul(down_sum, share), down_size), all(kInfinity));
  int listed = 0;
  const float* above = up.scores + block.base;
  const float* below = down.scores + block.base;
  for (int c = 0; c < classes; ++c, above += up.stride, below += up.stride) {
    const Mask may_win =
        either(at_least(load(above), up_bar), at_least(load(below), down_bar));
    work.contenders[listed] = c;  // the next one takes the place of one that cannot
    listed += bits(may_win) != 0;
  }
  return listed;
}

}  // namespace fuseg::FUSEG_LEVEL
