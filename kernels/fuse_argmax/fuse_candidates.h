// Which classes can win somewhere in a block of output pixels.
//
// The score of a map at a pixel is a weighted mean of its samples around, no weight
// below 0. So a class that wins at all samples of all maps wins everywhere between. And
// take the classes that win at some sample: a class that is, in every map and at all of
// its samples, below their mean is below one of them at every pixel, in the sum and in
// the largest score, whichever maps count there. Where maps are multiplied the
// geometric mean serves: between samples it is at least what it is at them, in
// proportion.
#pragma once

#include <cstdint>

#include "fuse_argmax/map_blocks.h"

namespace fuseg::FUSEG_LEVEL::fusing {

constexpr std::int32_t kNoClass = -1;
constexpr int kMostWinners = 4;  // with more of them, leaving classes out hardly pays

// Who wins at all samples around the block at x, of every map that has them all.
inline std::int32_t common_winner(const MapBand* bands, int maps, std::int64_t x) {
  std::int32_t label = kNoClass;
  for (int m = 0; m < maps; ++m) {
    const MapBand& band = bands[m];
    const AxisTaps& columns = band.map->columns;
    const std::int64_t base = columns.first[x];
    const std::int64_t count = columns.second[x + kLanes - 1] - base + 1;
    if (count > kLanes) return kNoClass;
    const unsigned lanes = (2u << (count - 1)) - 1;
    if (band.upper_missing != nullptr) {
      const unsigned up = bits(equal(load(band.upper_missing + base), all(0))) & lanes;
      const unsigned low = bits(equal(load(band.lower_missing + base), all(0))) & lanes;
      if ((up | low) == 0) continue;
      if ((up & low) != lanes) return kNoClass;
    }
    const std::int32_t* winner = band.upper->winner + base;
    if (label == kNoClass) label = *winner;
    const Mask same = both(equal(load(winner), all(label)),
                           equal(load(band.lower->winner + base), all(label)));
    if ((~bits(same) & lanes) != 0) return kNoClass;
  }
  return label;
}

// The classes that win at the samples around a block.
struct SampleWinners {
  std::int32_t labels[kMostWinners];
  int count = 0;
  bool too_many = false;

  explicit SampleWinners(const MapBlocks& blocks) {
    for (int s = 0; s < blocks.count && !too_many; ++s) {
      const MapBlock& block = blocks.at[s];
      take(block.band->upper->winner + block.base, block.upper);
      take(block.band->lower->winner + block.base, block.lower);
    }
  }

 private:
  void take(const std::int32_t* winner, unsigned left) {
    const Ints won = load(winner);
    for (int i = 0; i < count; ++i) left &= ~bits(equal(won, all(labels[i])));
    while (left != 0 && !too_many) {
      too_many = count == kMostWinners;
      if (too_many) return;
      const std::int32_t label = winner[__builtin_ctz(left)];
      labels[count++] = label;
      left &= ~bits(equal(won, all(label)));
    }
  }
};

// The mean of the winners at every sample, which a class must not be below everywhere.
template <bool kMultiplied>
class CandidateTest {
 public:
  CandidateTest(const MapBlocks& blocks, const SampleWinners& won) : won_(won) {
    blocks.each([&](const MapBlock& block) {
      take(*block.band->upper, block.base, block.upper);
      take(*block.band->lower, block.base, block.lower);
    });
  }

  bool may_win(int c) const {
    for (int i = 0; i < count_; ++i) {
      const Threshold& at = thresholds_[i];
      const Floats score = powered(load(at.scores + c * at.stride));
      if ((bits(at_least(score, at.threshold)) & at.lanes) != 0) return true;
    }
    return false;
  }

 private:
  struct Threshold {  // of one row of samples of one map
    const float* scores;
    std::int64_t stride;
    unsigned lanes;
    Floats threshold;
  };

  void take(const PackedRow& row, std::int64_t base, unsigned lanes) {
    if (lanes == 0) return;
    const float* scores = row.scores + base;
    Floats mean = all(0.99999f), size = all(0.0f);  // lowered by more than rounding
    if constexpr (kMultiplied) {
      for (int i = 0; i < power(); ++i) {
        const int label = won_.labels[i < won_.count ? i : won_.count - 1];
        mean = mul(mean, load(scores + label * row.stride));
      }
    } else {
      mean = all(0.0f);
      for (int i = 0; i < won_.count; ++i) {
        const Floats score = load(scores + won_.labels[i] * row.stride);
        mean = add(mean, score);
        size = add(size, abs(score));
      }
      // Lowered by more than rounding can amount to, here and where pixels are blended.
      const Floats slack = fma(size, all(1e-6f), all(1e-36f));
      mean = sub(mul(mean, all(1.0f / static_cast<float>(won_.count))), slack);
    }
    thresholds_[count_++] = {scores, row.stride, lanes, mean};
  }

  // Instead of the root of a product, its powers are compared.
  int power() const { return won_.count <= 2 ? 2 : 4; }
  Floats powered(Floats score) const {
    if constexpr (!kMultiplied) return score;
    const Floats square = mul(score, score);
    return power() == 2 ? square : mul(square, square);
  }

  const SampleWinners& won_;
  Threshold thresholds_[2 * kMostMaps];
  int count_ = 0;
};

template <bool kMultiplied>
inline int list_candidates(const MapBlocks& blocks, const SampleWinners& won,
                           int classes, std::int32_t* list) {
  const CandidateTest<kMultiplied> test(blocks, won);
  int listed = 0;
  for (int c = 0; c < classes; ++c) {
    list[listed] = c;  // overwritten by the next one if it cannot win
    listed += test.may_win(c);
  }
  return listed;
}

}  // namespace fuseg::FUSEG_LEVEL::fusing
