// The samples of each map around a block of output pixels: a vector of columns,
// between the same two rows of samples everywhere.
#pragma once

#include <cstdint>

#include "fuse_argmax/logarithm.h"
#include "fuse_argmax/map_rows.h"
#include "simd/simd.h"

namespace fuseg::FUSEG_LEVEL::fusing {

// One map. The block's samples are those from `base` on, `count` of them; if these fit
// into a vector, the map is near, and the vector is permuted.
struct MapBlock {
  const MapBand* band;
  std::int64_t base;
  int count;
  bool near;
  Ints first;  // counted from base
  Ints second;
  Floats weight;    // of the first
  Floats fraction;  // of the second
  unsigned lanes;   // of a vector of samples, the block's own; near maps only
  unsigned upper;   // those among them that have a reading, in either row
  unsigned lower;
  Mask counts;  // where the map counts, in the row at hand

  MapBlock() = default;
  MapBlock(const MapBand& on, std::int64_t x) : band(&on) {
    const AxisTaps& columns = on.map->columns;
    base = columns.first[x];
    count = static_cast<int>(columns.second[x + kLanes - 1] - base) + 1;
    near = count <= kLanes;
    const Ints start = all(static_cast<std::int32_t>(base));
    first = sub(load(columns.first + x), start);
    second = sub(load(columns.second + x), start);
    weight = load(on.map->column_weight + x);
    fraction = load(columns.fraction + x);
    lanes = near ? (2u << (count - 1)) - 1 : 0;
    upper = present(on.upper_missing);
    lower = present(on.lower_missing);
  }

  bool complete() const {
    return band->upper_missing == nullptr || (near && upper == lanes && lower == lanes);
  }
  bool no_readings() const {
    return near && band->upper_missing != nullptr && (upper | lower) == 0;
  }

  template <typename T>
  auto read(const T* samples, Ints index) const {
    return near ? permute(load(samples + base), index) : gather(samples + base, index);
  }

  float fraction_at(std::int64_t y) const { return band->map->rows.fraction[y]; }
  float weight_at(std::int64_t y) const { return band->map->row_weight[y]; }

  void load_row(std::int64_t y) {
    counts = lanes_mask((1u << kLanes) - 1);
    if (band->upper_missing == nullptr) return;
    counts = present_along(band->upper_missing);
    if (fraction_at(y) > 0.0f) {
      counts = both(counts, present_along(band->lower_missing));
    }
  }

 private:
  unsigned present(const std::int32_t* missing) const {
    if (missing == nullptr || !near) return lanes;
    return bits(equal(load(missing + base), all(0))) & lanes;
  }
  Mask present_along(const std::int32_t* missing) const {
    return both(equal(read(missing, first), all(0)),
                equal(read(missing, second), all(0)));
  }
};

// The maps that count somewhere in a block.
struct MapBlocks {
  MapBlock at[kMostMaps];
  int count = 0;
  bool near = true;
  bool complete = true;  // each of them counts everywhere in the block

  MapBlocks(const MapBand* bands, int maps, std::int64_t x) {
    for (int m = 0; m < maps; ++m) {
      const MapBlock block(bands[m], x);
      if (block.no_readings()) continue;
      near &= block.near;
      complete &= block.complete();
      at[count++] = block;
    }
  }

  const FuseArgmax& job() const { return *at[0].band->job; }
  // Calls body(block) for every map.
  template <typename Body>
  void each(const Body& body) const {
    for (int i = 0; i < count; ++i) body(at[i]);
  }
};

// How scores are combined; products that float32 holds need no logarithms.
enum class Arithmetic { kSum, kMax, kProduct, kLogSum };

// One class of one map in the rows of samples above and below a block.
struct RowPair {
  Floats above;
  Floats below;
};

// Weighted means of samples in [0, 1] keep their relative precision this way; and if
// kChecked, what has weight 0 is not read.
template <bool kChecked>
inline Floats blend_columns(const MapBlock& block, const PackedRow& row, int c) {
  const float* samples = row.scores + c * row.stride;
  const Floats first = block.read(samples, block.first);
  const Floats second = block.read(samples, block.second);
  const Floats mean = fma(block.weight, first, mul(block.fraction, second));
  return kChecked ? select(equal(block.first, block.second), first, mean) : mean;
}

template <bool kChecked>
inline RowPair row_pair_of(const MapBlock& block, int c) {
  return {blend_columns<kChecked>(block, *block.band->upper, c),
          blend_columns<kChecked>(block, *block.band->lower, c)};
}

// In output row y. Where maps are added or compared, samples are finite_safe and every
// one of them is there, one operation does.
template <Arithmetic kArithmetic, bool kChecked>
inline Floats blend_rows(const MapBlock& block, const RowPair& pair, Floats rise,
                         std::int64_t y) {
  const float fraction = block.fraction_at(y);
  if constexpr (kChecked) {
    if (fraction == 0.0f) return pair.above;
  } else if constexpr (kArithmetic == Arithmetic::kSum ||
                       kArithmetic == Arithmetic::kMax) {
    return fma(rise, all(fraction), pair.above);
  }
  return fma(all(block.weight_at(y)), pair.above, mul(all(fraction), pair.below));
}

template <Arithmetic kArithmetic>
inline Floats accumulated(Floats so_far, Floats own) {
  if constexpr (kArithmetic == Arithmetic::kMax) {
    return max(own, so_far);  // the second if the first is NaN
  } else if constexpr (kArithmetic == Arithmetic::kProduct) {
    return mul(so_far, own);
  } else {
    return add(so_far, own);
  }
}

// Calls take(c, scores) with the combined scores of each class of a list, in kRows rows
// from y on; of all classes in order where the list is null. If kChecked, samples may
// be missing, NaN, infinite or huge; load_row() comes first, for the one row.
template <Arithmetic kArithmetic, bool kChecked, int kRows, typename Take>
inline void combine(const MapBlocks& blocks, const std::int32_t* list, int listed,
                    std::int64_t y, const Take& take) {
  static_assert(!kChecked || kRows == 1);
  constexpr float kNeutral = kArithmetic == Arithmetic::kProduct ? 1.0f
                             : kArithmetic == Arithmetic::kMax   ? -kInfinity
                                                                 : 0.0f;
  for (int i = 0; i < listed; ++i) {
    const int c = list == nullptr ? i : list[i];
    Floats scores[kRows];
    for (int r = 0; r < kRows; ++r) scores[r] = all(kNeutral);
    for (int s = 0; s < blocks.count; ++s) {
      const MapBlock& block = blocks.at[s];
      const float weight = block.band->weights[c];
      if (weight == 0.0f) continue;
      const RowPair pair = row_pair_of<kChecked>(block, c);
      const Floats rise = sub(pair.below, pair.above);
      for (int r = 0; r < kRows; ++r) {
        Floats own = blend_rows<kArithmetic, kChecked>(block, pair, rise, y + r);
        if constexpr (kArithmetic == Arithmetic::kLogSum)
          own = mul(all(weight), logarithm(own));
        const Floats score = accumulated<kArithmetic>(scores[r], own);
        scores[r] = kChecked ? select(block.counts, score, scores[r]) : score;
      }
    }
    take(c, scores);
  }
}

}  // namespace fuseg::FUSEG_LEVEL::fusing
