// One row of class scores, all classes together, as the loops of label_bands.h keep it:
// what they read lies close, and whole vectors may be read where a row ends.
#pragma once

#include <cstdint>

#include "common/scratch.h"

namespace fuseg {

struct PackedRow {
  static constexpr std::int64_t kSpare = 16;  // readable beyond the last sample

  std::int64_t stride;   // from class to class
  float* scores;         // (C, stride)
  std::int32_t* winner;  // (stride) the class of the largest score, the first of them
  float* best;           // (stride) its score
  float* needed;  // (stride) two scores above this in sum leave no third class a chance
  // Scores are finite and so small that no difference or blend of them overflows. Only
  // then do `needed` and what follows mean anything.
  bool finite_safe;
  float lowest;
  float largest;
};

[[gnu::always_inline]] inline PackedRow cut_packed_row(Scratch& scratch,
                                                       std::int64_t classes,
                                                       std::int64_t width) {
  // An odd number of cache lines: classes must not fall into the same cache sets.
  const std::int64_t stride = ((width + PackedRow::kSpare + 15) / 16 | 1) * 16;
  PackedRow row{};
  row.stride = stride;
  row.scores = scratch.take<float>(classes * stride);
  row.winner = scratch.take<std::int32_t>(stride);
  row.best = scratch.take<float>(stride);
  row.needed = scratch.take<float>(stride);
  return row;
}

// kLanes output columns from x on. The samples that it reads are among those from
// `base` on, where `lanes` has a bit; no bit if they do not fit into a vector.
struct ColumnBlock {
  std::int32_t x;
  std::int32_t base;
  std::uint32_t lanes;
};

// A block that more than one class wins; two of those that do, the smaller one first.
struct MixedBlock {
  std::int32_t block;
  std::int32_t low;
  std::int32_t high;
};

// What one thread needs.
struct BandWork {
  PackedRow upper;  // the samples above and below a band
  PackedRow lower;
  ColumnBlock* blocks;        // (W) all of a row
  std::int32_t* mixed;        // (W) numbers of those that more than one class wins
  MixedBlock* two_class;      // (W) those of a band where no third class can win
  MixedBlock* others;         // (W)
  std::int32_t* candidates;   // (C)
  std::int32_t* all_classes;  // (C) 0, 1, 2, ...
};

[[gnu::always_inline]] inline BandWork cut_band_work(Scratch& scratch,
                                                     std::int64_t classes,
                                                     std::int64_t width,
                                                     std::int64_t out_width) {
  BandWork work{};
  work.upper = cut_packed_row(scratch, classes, width);
  work.lower = cut_packed_row(scratch, classes, width);
  work.blocks = scratch.take<ColumnBlock>(out_width);
  work.mixed = scratch.take<std::int32_t>(out_width + 1);
  work.two_class = scratch.take<MixedBlock>(out_width + 1);
  work.others = scratch.take<MixedBlock>(out_width + 1);
  work.candidates = scratch.take<std::int32_t>(classes);
  work.all_classes = scratch.take<std::int32_t>(classes);
  return work;
}

}  // namespace fuseg
