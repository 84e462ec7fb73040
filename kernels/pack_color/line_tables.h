// What pack_color reads along a row of the frame, worked out once for all rows.
//
// "Along" is the output's axis that runs along the frame's rows, "across" the other
// one: in a picture that is turned a quarter, along is down. A "line" is what one row
// of the frame, or two, become.
#pragma once

#include <cstdint>

#include "common/scalar.h"
#include "common/scratch.h"
#include "pack_color/pack_color.h"

namespace fuseg {
namespace {  // one copy per instruction set

constexpr int kBlock = 16;                  // positions in a window
constexpr std::int64_t kWindowBytes = 128;  // that an AVX-512 permutation reaches
constexpr std::int64_t kStrip = 16;         // lines turned at once

// How a line reads its positions; the windows serve all of them.
enum class TapKind : std::int32_t {
  kOne,    // one pixel
  kExact,  // two pixels, weights are whole multiples of 2^-14
  kFine,   // two pixels, any weights
};

// 16 positions, two times eight if they spread too far: `base` is the first of
// the 128 bytes of the row they are read from, and index[4 i], index[4 i + 2] say
// where in them the first channel of the two pixels of position i lies.
struct alignas(64) Window {
  std::uint8_t index[64];
  std::int32_t base[2];
  std::int32_t x;  // the first position
};

// Weights of two pixels, as 16-bit halves of one number.
inline std::int32_t pair_of(std::int32_t first, std::int32_t second) {
  return static_cast<std::int32_t>((static_cast<std::uint32_t>(second) << 16) |
                                   (static_cast<std::uint32_t>(first) & 0xffff));
}

struct Summary {
  TapKind tap_kind;
  std::int32_t windows;  // 0: they do not reach
  bool halves;           // two bases
  std::int32_t most;     // weights of the widest support
};

struct LineTables {
  Summary* summary;
  std::int32_t* offset;  // in bytes, of the first or only pixel, from the crop's left
  float* fraction;       // how far towards the next pixel
  std::int32_t* pair;    // the same as weights of both, in 2^-14
  std::int32_t* rest;    // what the rounding left of the weights, in 2^-22
  Window* windows;
  std::int32_t* count;  // antialiasing: pixels from `offset` on
  float* weight;        // antialiasing: (most, n) their weights, then 0
};

struct Axes {
  AxisMap along;
  AxisMap across;
};

inline Axes axes_of(const Geometry& geometry) {
  const AxisMap rows = geometry.rows(), columns = geometry.columns();
  return geometry.transposed() ? Axes{rows, columns} : Axes{columns, rows};
}

inline bool averages(const PackColor& job) { return job.filter == Filter::kAntialias; }

// The last pixel of the frame may be the end of the memory: a load of eight bytes is
// allowed at this offset of a row, and before.
inline std::int64_t last_load(const PackColor& job) {
  return job.geometry.width * job.pixel_bytes - 8;
}

inline std::int64_t widest_support(const AxisMap& side) {
  return 2 * fuseg::max(side.in, side.out) / side.out + 2;
}

inline LineTables cut_tables(Scratch& scratch, const PackColor& job) {
  const AxisMap along = axes_of(job.geometry).along;
  LineTables tables{};
  tables.summary = scratch.take<Summary>(1);
  tables.offset = scratch.take<std::int32_t>(along.out);
  if (averages(job)) {
    tables.count = scratch.take<std::int32_t>(along.out);
    tables.weight = scratch.take<float>(along.out * widest_support(along));
  } else {
    tables.fraction = scratch.take<float>(along.out);
    tables.pair = scratch.take<std::int32_t>(along.out);
    tables.rest = scratch.take<std::int32_t>(along.out);
    tables.windows = scratch.take<Window>((along.out + kBlock - 1) / kBlock);
  }
  return tables;
}

// The rows of the frame that a line is blended from, and how; and those of a line to
// come, to prefetch while this one is made. A frame fresh from a camera is seldom in
// the cache, and no processor guesses which rows a resize skips.
struct Rows {
  const std::uint8_t* above;
  const std::uint8_t* below;
  float fraction;
  const std::uint8_t* above_ahead;
  const std::uint8_t* below_ahead;
};

inline const std::uint8_t* row_of(const PackColor& job, std::int64_t row) {
  return job.frame + row * job.row_bytes + job.geometry.left * job.pixel_bytes;
}

inline Rows rows_of(const PackColor& job, const AxisMap& across, std::int64_t line) {
  const Tap tap = across.tap(line, job.filter);
  const std::uint8_t* above = row_of(job, tap.index);
  const std::uint8_t* below = tap.fraction > 0 ? above + job.row_bytes : above;
  return {above, below, static_cast<float>(tap.fraction), above, below};
}

inline Rows rows_of(const PackColor& job, const AxisMap& across, std::int64_t line,
                    std::int64_t ahead) {
  Rows rows = rows_of(job, across, line);
  const Rows later = rows_of(job, across, fuseg::min(line + ahead, across.out - 1));
  rows.above_ahead = later.above;
  rows.below_ahead = later.below;
  return rows;
}

// Where a line's positions go in a plane of the output.
struct Target {
  std::int64_t first;   // element of position 0 of line 0
  std::int64_t along;   // elements from position to position
  std::int64_t across;  // elements from line to line
  std::int64_t plane;   // elements from plane to plane
};

inline Target target_of(const Geometry& g) {
  const std::int64_t first = g.picture_top * g.out_width + g.picture_left;
  const std::int64_t plane = g.out_height * g.out_width;
  return g.transposed() ? Target{first, g.out_width, 1, plane}
                        : Target{first, 1, g.out_width, plane};
}

// Memory that one thread works in.
struct LineScratch {
  float* row;     // antialiasing: rows of the frame averaged into one
  float* weight;  // antialiasing: of these rows
  void* strip;    // turned pictures: (3, kStrip, n) elements on their way out
};

inline LineScratch cut_line_scratch(Scratch& scratch, const PackColor& job) {
  LineScratch line{};
  if (averages(job)) {
    const Axes sides = axes_of(job.geometry);
    line.row = scratch.take<float>(job.geometry.width * job.pixel_bytes +
                                   job.pixel_bytes * widest_support(sides.along) + 4);
    line.weight = scratch.take<float>(widest_support(sides.across));
  }
  if (job.geometry.transposed()) {
    line.strip = scratch.take<float>(3 * kStrip * job.geometry.picture_height);
  }
  return line;
}

inline std::int64_t line_scratch_bytes(const PackColor& job) {
  Scratch measure(nullptr);
  cut_line_scratch(measure, job);
  return measure.bytes();
}

inline LineScratch line_scratch_of(const PackColor& job, int part) {
  Scratch scratch(static_cast<char*>(job.scratch) + part * line_scratch_bytes(job));
  return cut_line_scratch(scratch, job);
}

inline LineTables tables_of(const PackColor& job) {
  Scratch scratch(const_cast<void*>(job.tables));
  return cut_tables(scratch, job);
}

}  // namespace
}  // namespace fuseg
