// What the samples of each map say around a block of output pixels: a vector of
// columns, between the same two rows of samples everywhere.
#pragma once

#include <cstdint>

#include "fuse_argmax/logarithm.h"
#include "fuse_argmax/map_rows.h"
#include "simd/simd_labels.h"

namespace fuseg::FUSEG_LEVEL::fusing {

// One map. The block's samples are those from `base` on, `count` of them; if these fit
// into a vector, the map is near, and the vector is permuted.
struct Site {
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

  Site() = default;
  Site(const MapBand& on, std::int64_t x) : band(&on) {
    const Taps& columns = on.map->columns;
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

  bool all_there() const {
    return band->upper_missing == nullptr || (near && upper == lanes && lower == lanes);
  }
  bool lost() const {
    return near && band->upper_missing != nullptr && (upper | lower) == 0;
  }

  template <typename T>
  auto read(const T* samples, Ints index) const {
    return near ? permute(load(samples + base), index) : gather(samples + base, index);
  }

  float fraction_at(std::int64_t y) const { return band->map->rows.fraction[y]; }
  float weight_at(std::int64_t y) const { return band->map->row_weight[y]; }

  void look_at_row(std::int64_t y) {
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
struct Sites {
  Site at[kMostMaps];
  int count = 0;
  bool near = true;
  bool all_there = true;  // each of them counts everywhere in the block

  Sites(const MapBand* bands, int maps, std::int64_t x) {
    for (int m = 0; m < maps; ++m) {
      const Site site(bands[m], x);
      if (site.lost()) continue;
      near &= site.near;
      all_there &= site.all_there();
      at[count++] = site;
    }
  }

  const FuseArgmax& job() const { return *at[0].band->job; }
  // Calls body(site) for every map.
  template <typename Body>
  void each(const Body& body) const {
    for (int i = 0; i < count; ++i) body(at[i]);
  }
};

// How scores are combined; products that float32 holds need no logarithms.
enum class Way { kSum, kLargest, kProduct, kLogs };

// One class of one map at both ends of the rows of a block.
struct Ends {
  Floats above;
  Floats below;
};

// Weighted means of samples in [0, 1] keep their relative precision this way; and if
// careful, what has weight 0 is not read.
template <bool kCareful>
inline Floats along(const Site& site, const PackedRow& row, int c) {
  const float* samples = row.scores + c * row.stride;
  const Floats first = site.read(samples, site.first);
  const Floats second = site.read(samples, site.second);
  const Floats mean = fma(site.weight, first, mul(site.fraction, second));
  return kCareful ? select(equal(site.first, site.second), first, mean) : mean;
}

template <bool kCareful>
inline Ends ends_of(const Site& site, int c) {
  return {along<kCareful>(site, *site.band->upper, c),
          along<kCareful>(site, *site.band->lower, c)};
}

// In output row y. Where maps are added or compared, samples are tame and every one of
// them is there, one operation does.
template <Way kWay, bool kCareful>
inline Floats down(const Site& site, const Ends& ends, Floats rise, std::int64_t y) {
  const float fraction = site.fraction_at(y);
  if constexpr (kCareful) {
    if (fraction == 0.0f) return ends.above;
  } else if constexpr (kWay == Way::kSum || kWay == Way::kLargest) {
    return fma(rise, all(fraction), ends.above);
  }
  return fma(all(site.weight_at(y)), ends.above, mul(all(fraction), ends.below));
}

template <Way kWay>
inline Floats joined(Floats so_far, Floats own) {
  if constexpr (kWay == Way::kLargest) {
    return max(own, so_far);  // the second if the first is NaN
  } else if constexpr (kWay == Way::kProduct) {
    return mul(so_far, own);
  } else {
    return add(so_far, own);
  }
}

// Calls take(c, scores) with the combined scores of each class of a list, in kRows rows
// from y on; of all classes in order where the list is null. If careful, samples may be
// missing, NaN, infinite or huge; sites must have looked at the row, the only one.
template <Way kWay, bool kCareful, int kRows, typename Take>
inline void combine(const Sites& sites, const std::int32_t* list, int listed,
                    std::int64_t y, const Take& take) {
  static_assert(!kCareful || kRows == 1);
  constexpr float kNeutral = kWay == Way::kProduct   ? 1.0f
                             : kWay == Way::kLargest ? -kInfinity
                                                     : 0.0f;
  for (int i = 0; i < listed; ++i) {
    const int c = list == nullptr ? i : list[i];
    Floats scores[kRows];
    for (int r = 0; r < kRows; ++r) scores[r] = all(kNeutral);
    for (int s = 0; s < sites.count; ++s) {
      const Site& site = sites.at[s];
      const float weight = site.band->weights[c];
      if (weight == 0.0f) continue;
      const Ends ends = ends_of<kCareful>(site, c);
      const Floats rise = sub(ends.below, ends.above);
      for (int r = 0; r < kRows; ++r) {
        Floats own = down<kWay, kCareful>(site, ends, rise, y + r);
        if constexpr (kWay == Way::kLogs) own = mul(all(weight), logarithm(own));
        const Floats score = joined<kWay>(scores[r], own);
        scores[r] = kCareful ? select(site.counts, score, scores[r]) : score;
      }
    }
    take(c, scores);
  }
}

}  // namespace fuseg::FUSEG_LEVEL::fusing
