// What can be known of a job, and of a band, before its pixels are looked at.
#pragma once

#include <cstdint>

#include "fuse_argmax/fuse_work.h"
#include "fuse_argmax/map_rows.h"

namespace fuseg::FUSEG_LEVEL::fusing {

// What the walk knows beforehand.
struct JobTraits {
  bool shortcuts;  // the winners at the samples tell which classes may win between them
  bool unweighted;  // all weights are 1
};

// The maps that have a reading anywhere.
struct PresentMaps {
  int count = 0;
  int maps[kMostMaps];
  Missing missing[kMostMaps];
  bool one_grid = true;  // and all their readings
};

inline JobTraits traits_of(const FuseArgmax& job, const PresentMaps& present) {
  JobTraits traits{true, true};
  for (int i = 0; i < present.count; ++i) {
    const float* weights = job.weights + present.maps[i] * job.classes;
    for (int c = 0; c < job.classes; ++c) {
      traits.unweighted &= weights[c] == 1.0f;
      if (job.mode == FusionMode::kAdd) continue;
      traits.shortcuts &= weights[c] != 0.0f;
      // A power of a blend is not the blend of powers; one power for all is as good.
      if (job.mode == FusionMode::kMultiply)
        traits.shortcuts &= weights[c] == weights[0];
    }
  }
  return traits;
}

// What holds for a band.
struct BandTraits {
  bool finite_safe;  // nothing is NaN, infinite or huge, or where maps are multiplied <
                     // 0
  bool products;  // float32 holds the products of probabilities, or shows that it does
                  // not
};

inline BandTraits band_traits(const FuseArgmax& job, const JobTraits& traits,
                              const MapBand* bands, int maps) {
  BandTraits band{true, job.mode == FusionMode::kMultiply && traits.unweighted};
  for (int i = 0; i < maps; ++i) {
    const PackedRow* const rows[] = {bands[i].upper, bands[i].lower};
    for (const PackedRow* row : rows) {
      band.finite_safe &= row->finite_safe;
      if (job.mode == FusionMode::kMultiply) band.finite_safe &= row->lowest >= 0.0f;
      band.products &= row->largest <= 2.0f;
    }
  }
  return band;
}

// Notes where readings are missing; false if all are. A map that has all of them keeps
// no notes.
inline bool find_missing(const ScoreMap& map, Missing& missing) {
  std::int64_t count = 0;
  for (std::int64_t y = 0; map.valid != nullptr && y < map.height; ++y) {
    const std::uint8_t* valid = map.valid + y * map.width;
    std::int32_t* row = missing.rows + y * missing.stride;
    std::int32_t in_row = 0;
    for (std::int64_t x = 0; x < map.width; ++x) {
      row[x] = valid[x] == 0;
      in_row += row[x];
    }
    count += in_row;
  }
  if (count == 0) missing.rows = nullptr;
  return count < map.height * map.width;
}

inline PresentMaps find_present(const FuseArgmax& job, Scratch& memory) {
  PresentMaps present;
  for (int m = 0; m < job.count; ++m) {
    const ScoreMap& map = job.maps[m];
    present.missing[m] = cut_missing(memory, map);
    if (!find_missing(map, present.missing[m])) continue;
    present.maps[present.count++] = m;
    const ScoreMap& other = job.maps[present.maps[0]];
    present.one_grid &= present.missing[m].rows == nullptr &&
                        map.height == other.height && map.width == other.width;
  }
  return present;
}

inline bool starts_band(const FuseArgmax& job, const PresentMaps& present,
                        std::int64_t y) {
  bool starts = y == 0;
  for (int i = 0; i < present.count && !starts; ++i) {
    const AxisTaps& rows = job.maps[present.maps[i]].rows;
    starts = rows.first[y] != rows.first[y - 1];
  }
  return starts;
}

}  // namespace fuseg::FUSEG_LEVEL::fusing
