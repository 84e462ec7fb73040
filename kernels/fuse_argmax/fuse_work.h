// The memory that fuse_argmax works in, cut from the caller's block.
#pragma once

#include <cstdint>

#include "common/packed_row.h"
#include "common/scratch.h"
#include "fuse_argmax/fuse_argmax.h"

namespace fuseg {

// What one thread needs.
struct FuseWork {
  BandWork maps[kMostMaps];
  std::int32_t* contenders;  // (C)
  std::int32_t* disputed;    // (W)
};

// Missing readings of a map, (h, stride): not 0 where one is missing.
struct Missing {
  std::int32_t* rows;
  std::int64_t stride;
};

inline Missing cut_missing(Scratch& scratch, const ScoreMap& map) {
  const std::int64_t stride = map.width + PackedRow::kSpare;
  return {scratch.take<std::int32_t>(map.height * stride), stride};
}

inline FuseWork cut_fuse_work(Scratch& scratch, const FuseArgmax& job) {
  FuseWork work{};
  for (int m = 0; m < job.count; ++m) {
    work.maps[m] =
        cut_band_work(scratch, job.classes, job.maps[m].width, job.out_width);
  }
  work.contenders = scratch.take<std::int32_t>(job.classes);
  work.disputed = scratch.take<std::int32_t>(job.out_width);
  return work;
}

}  // namespace fuseg
