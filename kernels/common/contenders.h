// Which classes can win somewhere in a block of output pixels.
//
// Every pixel is a weighted mean of the samples around, no weight below 0. So a class
// that is below the mean of two others at all of them is below one of those everywhere.
#pragma once

#include <cstdint>

#include "common/duels.h"

namespace fuseg::FUSEG_LEVEL {

// Lists the classes that may win in a block, in order.
inline int list_contenders(const BandWork& work, const Block& block,
                           const Disputed& two, int classes) {
  const PackedRow& up = work.upper;
  const PackedRow& down = work.lower;
  const auto base = static_cast<std::int32_t>(block.base);
  const auto bar = [&](const PackedRow& row) {
    return select(lanes_mask(block.lanes), Bar(row, base, two.low, two.high).height,
                  all(kInfinity));
  };
  const Floats up_bar = bar(up);
  const Floats down_bar = bar(down);
  const float* above = up.scores + base;
  const float* below = down.scores + base;
  std::int32_t* list = work.contenders;
  int listed = 0;
  for (int c = 0; c < classes; ++c, above += up.stride, below += up.stride) {
    const Mask may_win =
        either(at_least(load(above), up_bar), at_least(load(below), down_bar));
    list[listed] = c;  // the next one takes the place of one that cannot
    listed += bits(may_win) != 0;
  }
  return listed;
}

}  // namespace fuseg::FUSEG_LEVEL
