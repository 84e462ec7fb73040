// Where every row and every column of the picture reads the frame: the first thing in a
// job's memory, at every level.
#pragma once

#include "common/scratch.h"
#include "pack_depth/pack_depth.h"

namespace fuseg {

struct TapPairs {
  TapPair* rows;
  TapPair* columns;
};

[[gnu::always_inline]] inline TapPairs tap_pairs_in(Scratch& memory,
                                                    const PackDepth& job) {
  TapPair* rows = memory.take<TapPair>(job.geometry.picture_height);
  return {rows, memory.take<TapPair>(job.geometry.picture_width)};
}

inline void write_tap_pairs(const PackDepth& job, const TapPairs& pairs) {
  const AxisMap rows = job.geometry.rows(), columns = job.geometry.columns();
  for (std::int64_t y = 0; y < rows.out; ++y) {
    pairs.rows[y] = tap_pair(rows, y, job.filter);
  }
  for (std::int64_t x = 0; x < columns.out; ++x) {
    pairs.columns[x] = tap_pair(columns, x, job.filter);
  }
}

}  // namespace fuseg
