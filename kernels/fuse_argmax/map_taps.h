// Where output pixels lie among the samples of each map, as tables.
#pragma once

#include <cstdint>

#include "common/resample.h"
#include "common/scratch.h"
#include "fuse_argmax/fuse_argmax.h"

namespace fuseg {

inline void cut_tables(Scratch& scratch, FuseArgmax& job) {
  for (int m = 0; m < job.count; ++m) {
    ScoreMap& map = job.maps[m];
    map.rows = cut_taps(scratch, map.height, job.out_height);
    map.columns = cut_taps(scratch, map.width, job.out_width);
    map.row_weight = scratch.take<float>(job.out_height);
    map.column_weight = scratch.take<float>(job.out_width + Taps::kSpare);
  }
}

inline void lay_axis(const Line& line, Taps& taps, float* weight, std::int64_t spare) {
  lay_taps(line, taps);
  for (std::int64_t i = 0; i < taps.count + spare; ++i) {
    const Tap tap = line.tap(i < taps.count ? i : taps.count - 1, taps.samples);
    weight[i] = static_cast<float>(1.0 - tap.fraction);
  }
}

inline void lay_tables(FuseArgmax& job) {
  for (int m = 0; m < job.count; ++m) {
    ScoreMap& map = job.maps[m];
    const bool corners = job.align_corners;
    lay_axis(line_over(map.height, job.out_height, corners), map.rows, map.row_weight,
             0);
    lay_axis(line_over(map.width, job.out_width, corners), map.columns,
             map.column_weight, Taps::kSpare);
  }
}

}  // namespace fuseg
