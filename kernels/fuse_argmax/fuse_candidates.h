// Which classes can win somewhere in a block of output pixels.
//
// What a map says at a pixel is a weighted mean of its samples around, no weight below
// 0. So a class that wins at all samples of all maps wins everywhere between. And take
// the classes that win at some sample: a class that is, in every map and at all of its
// samples, below their mean is below one of them at every pixel, in the sum and in the
// largest score, whichever maps count there. Where maps are multiplied the geometric
// mean serves: between samples it is at least what it is at them, in proportion.
#pragma once

#include <cstdint>

#include "fuse_argmax/map_blocks.h"

namespace fuseg::FUSEG_LEVEL::fusing {

constexpr std::int32_t kNobody = -1;
constexpr int kMostWinners = 4;  // with more of them, leaving classes out hardly pays

// Who wins at all samples around the block at x, of every map that has them all.
inline std::int32_t agreed(const MapBand* bands, int maps, std::int64_t x) {
  std::int32_t label = kNobody;
  for (int m = 0; m < maps; ++m) {
    const MapBand& band = bands[m];
    const Taps& columns = band.map->columns;
    const std::int64_t base = columns.first[x];
    const std::int64_t count = columns.second[x + kLanes - 1] - base + 1;
    if (count > kLanes) return kNobody;
    const unsigned lanes = (2u << (count - 1)) - 1;
    if (band.upper_missing != nullptr) {
      const unsigned up = bits(equal(load(band.upper_missing + base), all(0))) & lanes;
      const unsigned low = bits(equal(load(band.lower_missing + base), all(0))) & lanes;
      if ((up | low) == 0) continue;
      if ((up & low) != lanes) return kNobody;
    }
    const std::int32_t* winner = band.upper->winner + base;
    if (label == kNobody) label = *winner;
    const Mask same = both(equal(load(winner), all(label)),
                           equal(load(band.lower->winner + base), all(label)));
    if ((~bits(same) & lanes) != 0) return kNobody;
  }
  return label;
}

// The classes that win at the samples around a block.
struct WinnersOfAll {
  std::int32_t labels[kMostWinners];
  int count = 0;
  bool too_many = false;

  explicit WinnersOfAll(const Sites& sites) {
    for (int s = 0; s < sites.count && !too_many; ++s) {
      const Site& site = sites.at[s];
      take(site.band->upper->winner + site.base, site.upper);
      take(site.band->lower->winner + site.base, site.lower);
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
class Bars {
 public:
  Bars(const Sites& sites, const WinnersOfAll& won) : won_(won) {
    sites.each([&](const Site& site) {
      take(*site.band->upper, site.base, site.upper);
      take(*site.band->lower, site.base, site.lower);
    });
  }

  bool may_win(int c) const {
    for (int i = 0; i < count_; ++i) {
      const Bar& at = bars_[i];
      const Floats score = powered(load(at.scores + c * at.stride));
      if ((bits(at_least(score, at.bar)) & at.lanes) != 0) return true;
    }
    return false;
  }

 private:
  struct Bar {  // of one row of samples of one map
    const float* scores;
    std::int64_t stride;
    unsigned lanes;
    Floats bar;
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
    bars_[count_++] = {scores, row.stride, lanes, mean};
  }

  // Instead of the root of a product, its powers are compared.
  int power() const { return won_.count <= 2 ? 2 : 4; }
  Floats powered(Floats score) const {
    if constexpr (!kMultiplied) return score;
    const Floats square = mul(score, score);
    return power() == 2 ? square : mul(square, square);
  }

  const WinnersOfAll& won_;
  Bar bars_[2 * kMostMaps];
  int count_ = 0;
};

template <bool kMultiplied>
inline int list_contenders(const Sites& sites, const WinnersOfAll& won, int classes,
                           std::int32_t* list) {
  const Bars<kMultiplied> bars(sites, won);
  int listed = 0;
  for (int c = 0; c < classes; ++c) {
    list[listed] = c;  // the next one takes the place of one that cannot win
    listed += bars.may_win(c);
  }
  return listed;
}

}  // namespace fuseg::FUSEG_LEVEL::fusing
