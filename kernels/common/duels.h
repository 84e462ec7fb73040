// Blocks that one class wins, and blocks that two share: most of a picture.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "common/blocks.h"

namespace fuseg::FUSEG_LEVEL {

// Gives the pixels of one output row the winner of the sample to their left, and lists
// in work.others the spots that more than one class wins. Returns how many.
template <typename Label>
inline std::int64_t fill_row(const BandWork& work, const Taps& columns,
                             std::int64_t spots, Label* out) {
  const std::int32_t* first = columns.first;
  const std::int32_t* upper = work.upper.winner;
  const std::int32_t* lower = work.lower.winner;
  const Spot* spot = work.spots;
  Disputed* disputed = work.others;
  std::int64_t count = 0;
  for (std::int64_t i = 0; i < spots; ++i) {
    const auto [x, base, lanes] = spot[i];
    const Ints sample = load(first + x);
    disputed[count].spot = static_cast<std::int32_t>(i);
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

// What a third class must reach at a sample to win anywhere near it: the mean of two,
// lowered by more than rounding can amount to, here and where pixels are blended.
struct Bar {
  Floats height;

  Bar(const PackedRow& row, std::int32_t base, std::int32_t one, std::int32_t other) {
    const Floats score = load(row.scores + one * row.stride + base);
    const Floats rival = load(row.scores + other * row.stride + base);
    const Floats slack = fma(add(abs(score), abs(rival)), all(1e-6f), all(1e-36f));
    height = sub(mul(add(score, rival), all(0.5f)), slack);
  }
};

// The samples of a row where none but two classes can win: they are the winner and the
// next, or the winner and above the next by their mean.
inline Mask duel_at(const PackedRow& row, std::int32_t base, std::int32_t one,
                    std::int32_t other) {
  const auto is_one = [&](const std::int32_t* labels) {
    const Ints label = load(labels + base);
    return either(equal(label, all(one)), equal(label, all(other)));
  };
  const Mask no_third =
      greater(Bar(row, base, one, other).height, load(row.second_score + base));
  return both(is_one(row.winner), either(is_one(row.second), no_third));
}

// After this many spots of a band without success, the others are not tried.
constexpr std::int64_t kTrials = 8;

struct Split {
  std::int64_t duels;
  std::int64_t others;
};

// Moves the spots where only two classes can win from work.others to work.duels.
inline Split find_duels(const BandWork& work, bool tame, std::int64_t disputed) {
  const PackedRow upper = work.upper;
  const PackedRow lower = work.lower;
  const Spot* spots = work.spots;
  Disputed* duels = work.duels;
  Disputed* others = work.others;
  Split split{0, 0};
  for (std::int64_t i = 0; i < disputed; ++i) {
    const std::int32_t at = others[i].spot;
    const auto [x, base, lanes] = spots[at];
    const bool in_vain = i > kTrials && split.duels == 0;
    if (lanes == 0 || in_vain || !tame) {
      others[split.others++] = {at, -1, -1};
      continue;
    }
    const std::int32_t one = upper.winner[base + __builtin_ctz(lanes)];
    const Mask above = equal(load(upper.winner + base), all(one));
    const Mask below = equal(load(lower.winner + base), all(one));
    const int lane = __builtin_ctz(~bits(both(above, below)) & lanes);
    const std::int32_t next = upper.winner[base + lane];
    const std::int32_t other = next != one ? next : lower.winner[base + lane];
    const Mask duel =
        both(duel_at(upper, base, one, other), duel_at(lower, base, one, other));
    const bool is_duel = (~bits(duel) & lanes) == 0;
    // Written to both lists; the next one takes the place in the wrong one.
    const Disputed found{at, std::min(one, other), std::max(one, other)};
    duels[split.duels] = found;
    others[split.others] = found;
    split.duels += is_duel;
    split.others += !is_duel;
  }
  return split;
}

// Two classes at every pixel of a block: the sign of their difference decides. Where
// the samples around agree it is theirs, whatever the rounding.
template <typename Label>
inline void decide(const PackedRow& upper, const PackedRow& lower, const Block& block,
                   const Disputed& duel, const float* fraction, std::int64_t rows,
                   std::int64_t width, Label* out) {
  const auto lead = [&](const PackedRow& row) {
    const float* scores = row.scores + block.base;
    const Floats lead = sub(load(scores + duel.high * row.stride),
                            load(scores + duel.low * row.stride));
    return blend(permute(lead, block.first), permute(lead, block.second),
                 block.fraction);
  };
  const Floats above = lead(upper);
  const Floats rise = sub(lead(lower), above);
  const Choice<Label> choice(duel.low, duel.high);
  for (std::int64_t y = 0; y < rows; ++y) {
    const Floats score = fma(rise, all(fraction[y]), above);
    choice.store(out + y * width, greater(score, all(0.0f)));
  }
}

}  // namespace fuseg::FUSEG_LEVEL
