// Blocks that one class wins, and blocks that two share: most of a picture.
#pragma once

#include <cstdint>
#include <cstring>

#include "label/column_blocks.h"

namespace fuseg::FUSEG_LEVEL {

// Gives the pixels of one output row the winner of the sample to their left, and lists
// in work.mixed the blocks that more than one class wins. Returns how many.
template <typename Label>
inline std::int64_t fill_row(const BandWork& work, const AxisTaps& columns,
                             std::int64_t blocks, Label* out) {
  const std::int32_t* first = columns.first;
  const std::int32_t* upper = work.upper.winner;
  const std::int32_t* lower = work.lower.winner;
  const ColumnBlock* block = work.blocks;
  std::int32_t* mixed = work.mixed;
  std::int64_t count = 0;
  for (std::int64_t i = 0; i < blocks; ++i) {
    const auto [x, base, lanes] = block[i];
    const Ints sample = load(first + x);
    mixed[count] = static_cast<std::int32_t>(i);
    if (lanes == 0) {
      store_labels(out + x, gather(upper, sample));
      ++count;
      continue;
    }
    const Ints above = load(upper + base);
    const Ints below = load(lower + base);
    store_labels(out + x, permute(above, sub(sample, all(base))));
    const Ints label = all(upper[base + __builtin_ctz(lanes)]);
    const Mask same = both(equal(above, label), equal(below, label));
    count += (~bits(same) & lanes) != 0;
  }
  return count;
}

template <typename Label>
inline void repeat_row(Label* row, std::int64_t width, std::int64_t times) {
  for (std::int64_t y = 1; y < times; ++y) {
    std::memcpy(row + y * width, row, static_cast<std::size_t>(width) * sizeof(Label));
  }
}

// Where no third class can win near a sample of a row.
inline Mask only_two_at(const PackedRow& row, std::int32_t base, std::int32_t one,
                        std::int32_t other) {
  const float* scores = row.scores + base;
  const Floats sum =
      add(load(scores + one * row.stride), load(scores + other * row.stride));
  return greater(sum, load(row.needed + base));
}

// Without a branch: nobody could predict it.
inline std::int32_t chosen(bool condition, std::int32_t yes, std::int32_t no) {
  return no ^ ((yes ^ no) & -static_cast<std::int32_t>(condition));
}

struct Split {
  std::int64_t two_class;
  std::int64_t others;
};

// After this many blocks of a band without success, the others are not tried.
constexpr std::int64_t kTrials = 8;

// Sorts the mixed blocks into those where no third class can win and others, and
// finds two that do.
inline Split find_two_class_blocks(const BandWork& work, bool finite_safe,
                                   std::int64_t count) {
  const PackedRow upper = work.upper;
  const PackedRow lower = work.lower;
  const ColumnBlock* blocks = work.blocks;
  const std::int32_t* mixed = work.mixed;
  MixedBlock* two_class = work.two_class;
  MixedBlock* others = work.others;
  Split split{0, 0};
  std::int64_t i = 0;
  for (; i < count && finite_safe && (i < kTrials || split.two_class > 0); ++i) {
    const std::int32_t at = mixed[i];
    const auto [x, base, lanes] = blocks[at];
    if (lanes == 0) {
      others[split.others++] = {at, -1, -1};
      continue;
    }
    const std::int32_t one = upper.winner[base + __builtin_ctz(lanes)];
    const Mask above = equal(load(upper.winner + base), all(one));
    const Mask below = equal(load(lower.winner + base), all(one));
    const int lane = __builtin_ctz(~bits(both(above, below)) & lanes);
    const std::int32_t next = upper.winner[base + lane];
    const std::int32_t other = chosen(next == one, lower.winner[base + lane], next);
    const Mask two = both(only_two_at(upper, base, one, other),
                          only_two_at(lower, base, one, other));
    const bool is_two_class = (~bits(two) & lanes) == 0;
    const std::int32_t low = chosen(one < other, one, other);
    // Written to both lists; the next one overwrites it in the wrong one.
    const MixedBlock found{at, low, one ^ other ^ low};
    two_class[split.two_class] = found;
    others[split.others] = found;
    split.two_class += is_two_class;
    split.others += !is_two_class;
  }
  for (; i < count; ++i) others[split.others++] = {mixed[i], -1, -1};
  return split;
}

// Two classes at every pixel of a block: the sign of their difference decides. Where
// the samples around agree it is theirs, whatever the rounding.
template <typename Label>
inline void label_two_class_block(const PackedRow& upper, const PackedRow& lower,
                                  const BlockTaps& block, const MixedBlock& two,
                                  const float* fraction, std::int64_t rows,
                                  std::int64_t width, Label* out) {
  const auto lead = [&](const PackedRow& row) {
    const float* scores = row.scores + block.base;
    const Floats lead =
        sub(load(scores + two.high * row.stride), load(scores + two.low * row.stride));
    return blend(permute(lead, block.first), permute(lead, block.second),
                 block.fraction);
  };
  const Floats above = lead(upper);
  const Floats rise = sub(lead(lower), above);
  for (std::int64_t y = 0; y < rows; ++y) {
    const Floats score = fma(rise, all(fraction[y]), above);
    const Mask higher = greater(score, all(0.0f));
    store_either(out + y * width, higher, two.high, two.low);
  }
}

}  // namespace fuseg::FUSEG_LEVEL
