// Where output pixels lie among the samples of each map.
#pragma once

#include <cstdint>

#include "common/scratch.h"
#include "fuse_argmax/fuse_argmax.h"

namespace fuseg::fuse {

// A vector that begins at a column of the picture may end this far beyond the last one:
// tables go on there, as at the last column.
constexpr std::int64_t kBeyond = 16;

// Output position i takes weight0[i] of sample first[i] and weight1[i] of the next one.
// The last sample has no next one, and weight1 is 0 there.
struct Axis {
  std::int32_t* first;
  float* weight0;
  float* weight1;
};

struct Tables {
  Axis rows[kMostMaps];
  Axis columns[kMostMaps];
};

inline Axis cut_axis(Scratch& scratch, std::int64_t count) {
  return {scratch.take<std::int32_t>(count), scratch.take<float>(count),
          scratch.take<float>(count)};
}

inline Tables cut_tables(const FuseArgmax& job, Scratch& scratch) {
  Tables tables{};
  for (int m = 0; m < job.count; ++m) {
    tables.rows[m] = cut_axis(scratch, job.out_height);
    tables.columns[m] = cut_axis(scratch, job.out_width + kBeyond);
  }
  return tables;
}

inline Tables tables_of(const FuseArgmax& job) {
  Scratch block(job.tables);
  return cut_tables(job, block);
}

}  // namespace fuseg::fuse
