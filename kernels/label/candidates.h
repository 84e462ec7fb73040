// Which classes can win somewhere in a block of output pixels.
//
// Every pixel is a weighted mean of the samples around, no weight below 0. So a class
// that is below the mean of two others at all of them is below one of those everywhere.
#pragma once

#include <cstdint>

#include "label/two_class_blocks.h"

namespace fuseg::FUSEG_LEVEL {

// What a third class must reach at a sample to win anywhere near it: the mean of two,
// lowered by more than rounding can amount to, here and where pixels are blended.
inline Floats threshold_of(const PackedRow& row, std::int64_t base,
                           const MixedBlock& two) {
  const Floats score = load(row.scores + two.low * row.stride + base);
  const Floats rival = load(row.scores + two.high * row.stride + base);
  const Floats slack = fma(add(abs(score), abs(rival)), all(1e-6f), all(1e-36f));
  return sub(mul(add(score, rival), all(0.5f)), slack);
}

// Lists the classes that may win in a block, in order.
inline int list_candidates(const BandWork& work, const BlockTaps& block,
                           const MixedBlock& two, int classes) {
  const PackedRow& up = work.upper;
  const PackedRow& down = work.lower;
  const Mask own = lanes_mask(block.lanes);
  const Floats up_bar = select(own, threshold_of(up, block.base, two), all(kInfinity));
  const Floats down_bar =
      select(own, threshold_of(down, block.base, two), all(kInfinity));
  const float* above = up.scores + block.base;
  const float* below = down.scores + block.base;
  std::int32_t* list = work.candidates;
  int listed = 0;
  for (int c = 0; c < classes; ++c, above += up.stride, below += up.stride) {
    const Mask may_win =
        either(at_least(load(above), up_bar), at_least(load(below), down_bar));
    list[listed] = c;  // overwritten by the next one if it cannot win
    listed += bits(may_win) != 0;
  }
  return listed;
}

}  // namespace fuseg::FUSEG_LEVEL
