// Where every row and every column of the picture reads the frame: the first thing in a
// job's memory, at every level.
#pragma once

#include "common/scratch.h"
#include "pack_depth/pack_depth.h"

namespace fuseg {

struct Reaches {
  Reach* rows;
  Reach* columns;
};

inline Reaches reaches_in(Scratch& memory, const PackDepth& job) {
  Reach* rows = memory.take<Reach>(job.geometry.picture_height);
  return {rows, memory.take<Reach>(job.geometry.picture_width)};
}

inline void write_reaches(const PackDepth& job, const Reaches& reaches) {
  const Side rows = job.geometry.rows(), columns = job.geometry.columns();
  for (std::int64_t y = 0; y < rows.out; ++y) {
    reaches.rows[y] = reach(rows, y, job.filter);
  }
  for (std::int64_t x = 0; x < columns.out; ++x) {
    reaches.columns[x] = reach(columns, x, job.filter);
  }
}

}  // namespace fuseg
