// The maps along a band of output rows: their samples, weighted and packed, and what is
// known of them.
#pragma once

#include <cstdint>

#include "common/half.h"
#include "fuse_argmax/fuse_argmax.h"
#include "label/pack_row.h"
#include "label/packed_row.h"

namespace fuseg::FUSEG_LEVEL::fusing {

// A row of samples of some maps on one grid, summed with their weights; to be
// multiplied they are taken as they are, one at a time. A map is not read for a class
// that it has weight 0 for, nor is what lies where a reading is missing: 0 stands
// there.
struct WeightedRow {
  const FuseArgmax& job;
  const int* maps;  // their numbers
  int count;
  std::int64_t y;
  const std::int32_t* missing;  // (w) not 0 where a reading is missing; or null

  int classes() const { return job.classes; }
  Floats load(int c, std::int64_t x) const {
    return sum(c, x, [](auto* from) { return FUSEG_LEVEL::load(from); });
  }
  Floats load_some(int c, std::int64_t x, int count) const {
    return sum(c, x, [=](auto* from) { return FUSEG_LEVEL::load_some(from, count); });
  }

 private:
  template <typename Load>
  Floats sum(int c, std::int64_t x, const Load& load_at) const {
    Floats sum = all(0.0f);
    for (int i = 0; i < count; ++i) {
      const int m = maps[i];
      const float weight = job.weights[m * job.classes + c];
      if (weight == 0.0f) continue;
      const ScoreMap& map = job.maps[m];
      const std::int64_t at = (c * map.height + y) * map.width + x;
      const Floats score = map.half
                               ? load_at(static_cast<const Half*>(map.scores) + at)
                               : load_at(static_cast<const float*>(map.scores) + at);
      sum = fma(score, all(job.mode == FusionMode::kMultiply ? 1.0f : weight), sum);
    }
    if (missing == nullptr) return sum;
    return select(equal(FUSEG_LEVEL::load(missing + x), all(0)), sum, all(0.0f));
  }
};

// Whether a map has a weight for every class.
inline bool counts_for_all(const FuseArgmax& job, int m) {
  const float* weights = job.weights + m * job.classes;
  bool all_count = true;
  for (int c = 0; c < job.classes; ++c) all_count &= weights[c] != 0.0f;
  return all_count;
}

// The same of float32 maps that have all their readings and count for every class: what
// is fused most, without a condition per sample.
template <int kMaps>
struct PlainRow {
  const float* rows[kMaps];  // of class 0
  const float* weights[kMaps];
  std::int64_t plane;  // from class to class
  int all_classes;
  bool weighted;

  PlainRow(const FuseArgmax& job, const int* maps, std::int64_t y)
      : plane(job.maps[maps[0]].height * job.maps[maps[0]].width),
        all_classes(job.classes),
        weighted(job.mode != FusionMode::kMultiply) {
    for (int i = 0; i < kMaps; ++i) {
      const ScoreMap& map = job.maps[maps[i]];
      rows[i] = static_cast<const float*>(map.scores) + y * map.width;
      weights[i] = job.weights + maps[i] * job.classes;
    }
  }

  int classes() const { return all_classes; }
  Floats load(int c, std::int64_t x) const {
    return sum(c, x, [](const float* from) { return FUSEG_LEVEL::load(from); });
  }
  Floats load_some(int c, std::int64_t x, int count) const {
    return sum(c, x,
               [=](const float* from) { return FUSEG_LEVEL::load_some(from, count); });
  }

 private:
  template <typename Load>
  Floats sum(int c, std::int64_t x, const Load& load_at) const {
    const auto weight = [&](int i) { return all(weighted ? weights[i][c] : 1.0f); };
    Floats sum = mul(load_at(rows[0] + c * plane + x), weight(0));
    for (int i = 1; i < kMaps; ++i) {
      sum = fma(load_at(rows[i] + c * plane + x), weight(i), sum);
    }
    return sum;
  }
};

// Where the samples of a row lie.
struct ScoreRange {
  Floats squares = all(0.0f);  // NaN or infinite if a score is, or is huge
  Floats lowest = all(kInfinity);
  Floats largest = all(-kInfinity);
};

// Packs kVectors vectors of samples from x on, and finds their winners.
template <int kVectors, typename Load>
inline void pack_some(const Load& load_at, int classes, std::int64_t x, PackedRow& row,
                      ScoreRange& bounds) {
  Floats best[kVectors];
  Ints winner[kVectors];
  for (int i = 0; i < kVectors; ++i) {
    best[i] = all(-kInfinity);
    winner[i] = all(0);
  }
  float* packed = row.scores + x;
  for (int c = 0; c < classes; ++c, packed += row.stride) {
    for (int i = 0; i < kVectors; ++i) {
      const Floats score = load_at(c, x + i * kLanes);
      store(packed + i * kLanes, score);
      bounds.squares = fma(score, score, bounds.squares);
      bounds.lowest = min(score, bounds.lowest);
      winner[i] = select(greater(score, best[i]), all(c), winner[i]);
      best[i] = max(score, best[i]);
    }
  }
  for (int i = 0; i < kVectors; ++i) {
    bounds.largest = max(best[i], bounds.largest);
    store(row.winner + x + i * kLanes, winner[i]);
  }
}

// Of a packed row, what fuse_argmax looks at: scores, winners, and how large they are.
template <typename Source>
inline void pack_map_row(const Source& source, std::int64_t width, PackedRow& row) {
  constexpr int kVectors = 4;
  const int classes = source.classes();
  const auto whole = [&](int c, std::int64_t x) { return source.load(c, x); };
  ScoreRange bounds;
  std::int64_t x = 0;
  for (; x + kVectors * kLanes <= width; x += kVectors * kLanes) {
    pack_some<kVectors>(whole, classes, x, row, bounds);
  }
  if (width < kLanes) {
    const int count = static_cast<int>(width);
    const auto some = [&](int c, std::int64_t) {
      return source.load_some(c, 0, count);
    };
    pack_some<1>(some, classes, 0, row, bounds);
  }
  for (; x < width && width >= kLanes; x += kLanes) {  // the last one overlaps
    pack_some<1>(whole, classes, x < width - kLanes ? x : width - kLanes, row, bounds);
  }
  const Mask finite_safe = greater(all(kInfinity), bounds.squares);  // false for NaN
  row.finite_safe = bits(finite_safe) == (1u << kLanes) - 1;
  row.largest = largest_lane(bounds.largest);
  row.lowest = -largest_lane(sub(all(0.0f), bounds.lowest));
}

// One map between two of its rows of samples.
struct MapBand {
  const FuseArgmax* job;
  const ScoreMap* map;
  const float* weights;  // (C)
  const PackedRow* upper;
  const PackedRow* lower;
  const std::int32_t* upper_missing;  // null if the map has all its readings
  const std::int32_t* lower_missing;

  bool finite_safe() const { return upper->finite_safe && lower->finite_safe; }
};

// Keeps a MapBand on the move, down the picture.
class MapWalk {
 public:
  MapWalk(const FuseArgmax& job, int m, BandWork& work, const std::int32_t* missing,
          std::int64_t stride)
      : job_(job), m_(m), work_(work), missing_(missing), stride_(stride) {
    plain_ = missing == nullptr && !map().half && counts_for_all(job, m);
  }

  std::int64_t end_of_band(std::int64_t y) const {
    const AxisTaps& rows = map().rows;
    return rows.start[rows.first[y] + 1];
  }

  MapBand band_at(std::int64_t y) {
    const std::int64_t row = map().rows.first[y];
    const std::int64_t next = row + 1 < map().height ? row + 1 : row;
    if (row != upper_ && row == lower_) {
      const PackedRow packed = work_.upper;
      work_.upper = work_.lower;
      work_.lower = packed;
      lower_ = upper_;
      upper_ = row;
    }
    if (row != upper_) pack(row, work_.upper, upper_);
    if (next != row && next != lower_) pack(next, work_.lower, lower_);
    return {&job_,
            &map(),
            job_.weights + m_ * job_.classes,
            &work_.upper,
            next == row ? &work_.upper : &work_.lower,
            missing_at(row),
            missing_at(next)};
  }

 private:
  const ScoreMap& map() const { return job_.maps[m_]; }
  const std::int32_t* missing_at(std::int64_t row) const {
    return missing_ == nullptr ? nullptr : missing_ + row * stride_;
  }
  void pack(std::int64_t row, PackedRow& packed, std::int64_t& which) {
    if (plain_) {
      pack_map_row(PlainRow<1>(job_, &m_, row), map().width, packed);
    } else {
      pack_map_row(WeightedRow{job_, &m_, 1, row, missing_at(row)}, map().width,
                   packed);
    }
    which = row;
  }

  const FuseArgmax& job_;
  int m_;
  BandWork& work_;
  const std::int32_t* missing_;
  std::int64_t stride_;
  bool plain_;
  std::int64_t upper_ = -1;
  std::int64_t lower_ = -1;
};

}  // namespace fuseg::FUSEG_LEVEL::fusing
