// Where output pixels lie among the samples of each map, as tables.
#pragma once

#include <cstdint>

#include "common/resample.h"
#include "common/scratch.h"
#include "fuse_argmax/fuse_argmax.h"

namespace fuseg {

inline void cut_map_taps(Scratch& scratch, FuseArgmax& job) {
  for (int m = 0; m < job.count; ++m) {
    ScoreMap& map = job.maps[m];
    map.rows = cut_taps(scratch, map.height, job.out_height);
    map.columns = cut_taps(scratch, map.width, job.out_width);
    map.row_weight = scratch.take<float>(job.out_height);
    map.column_weight = scratch.take<float>(job.out_width + AxisTaps::kSpare);
  }
}

inline void fill_axis(const AffineAxis& line, AxisTaps& taps, float* weight,
                      std::int64_t spare) {
  fill_taps(line, taps);
  for (std::int64_t i = 0; i < taps.count + spare; ++i) {
    const Tap tap = line.tap(i < taps.count ? i : taps.count - 1, taps.samples);
    weight[i] = static_cast<float>(1.0 - tap.fraction);
  }
}

inline void fill_map_taps(FuseArgmax& job) {
  for (int m = 0; m < job.count; ++m) {
    ScoreMap& map = job.maps[m];
    const bool corners = job.align_corners;
    fill_axis(affine_axis(map.height, job.out_height, corners), map.rows,
              map.row_weight, 0);
    fill_axis(affine_axis(map.width, job.out_width, corners), map.columns,
              map.column_weight, AxisTaps::kSpare);
  }
}

}  // namespace fuseg
