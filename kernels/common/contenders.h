// Which classes can win somewhere in a block of output pixels.
//
// Every pixel is a weighted mean of the samples around, no weight below 0. So a class
// that wins at all of them wins everywhere between; and a class that is below the mean
// of some others at all of them is below one of those others everywhere.
#pragma once

#include <cstdint>

#include "common/duels.h"

namespace fuseg::FUSEG_LEVEL {

constexpr int kMostWinners = 4;  // with more of them, leaving classes out hardly pays

// Lists the classes that may win, in order; 0 of them if too many win at the samples.
inline int list_contenders(const BandWork& work, const Block& block, int classes) {
  const PackedRow& up = work.upper;
  const PackedRow& down = work.lower;
  const Ints up_winner = load(up.winner + block.base);
  const Ints down_winner = load(down.winner + block.base);
  Floats up_sum = all(0.0f), down_sum = up_sum, up_size = up_sum, down_size = up_sum;
  unsigned upper_left = block.lanes;
  unsigned lower_left = block.lanes;
  int count = 0;
  while ((upper_left | lower_left) != 0) {
    if (count++ == kMostWinners) return 0;
    const std::int32_t label =
        upper_left != 0 ? up.winner[block.base + __builtin_ctz(upper_left)]
                        : down.winner[block.base + __builtin_ctz(lower_left)];
    upper_left &= ~bits(equal(up_winner, all(label)));
    lower_left &= ~bits(equal(down_winner, all(label)));
    const Floats above = load(up.scores + label * up.stride + block.base);
    const Floats below = load(down.scores + label * up.stride + block.base);
    up_sum = add(up_sum, above);
    down_sum = add(down_sum, below);
    up_size = add(up_size, abs(above));
    down_size = add(down_size, abs(below));
  }
  const Floats share = all(1.0f / static_cast<float>(count));
  const Mask own = lanes_mask(block.lanes);
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
