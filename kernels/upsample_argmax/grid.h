// What the loops of upsample_argmax stand on: where output pixels lie among the samples
// of the network's grid, and the two rows of samples in use.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

#include "common/resample.h"
#include "common/scratch.h"

namespace fuseg::grid {

constexpr std::int64_t kLanes = 16;  // loops work on whole groups of this many
constexpr std::int64_t kPiece = 64;  // columns, and cells, worked on together
constexpr float kInfinity = std::numeric_limits<float>::infinity();

inline std::int64_t rounded_up(std::int64_t count) {
  return (count + kLanes - 1) / kLanes * kLanes;
}

// Output positions along one axis. Position x lies in cell[x], between that sample and
// the next, and takes weight0[x] of the one and weight1[x] of the other. Cell i holds
// the positions from start[i] to start[i + 1]. The last cell has no next sample, and
// weight1 is 0 there.
struct Axis {
  std::int64_t count;
  std::int32_t* cell;   // (count)
  std::int32_t* start;  // (samples + 1)
  float* weight0;       // (count + kLanes), zeros at the end
  float* weight1;
};

inline Axis cut_axis(Scratch& scratch, std::int64_t samples, std::int64_t count) {
  return {count, scratch.take<std::int32_t>(count),
          scratch.take<std::int32_t>(samples + 1), scratch.take<float>(count + kLanes),
          scratch.take<float>(count + kLanes)};
}

inline void lay_axis(const Axis& axis, std::int64_t samples, bool align_corners) {
  std::int64_t cell = 0;
  axis.start[0] = 0;
  for (std::int64_t x = 0; x < axis.count; ++x) {
    const Tap tap = linear_tap(x, samples, axis.count, align_corners);
    while (cell < tap.index) axis.start[++cell] = static_cast<std::int32_t>(x);
    axis.cell[x] = static_cast<std::int32_t>(tap.index);
    axis.weight0[x] = static_cast<float>(1.0 - tap.fraction);
    axis.weight1[x] = static_cast<float>(tap.fraction);
  }
  while (cell < samples) axis.start[++cell] = static_cast<std::int32_t>(axis.count);
  std::fill_n(axis.weight0 + axis.count, kLanes, 0.0f);
  std::fill_n(axis.weight1 + axis.count, kLanes, 0.0f);
}

// One row of samples, copied so that class c is at scores + c * stride and reading past
// the end is allowed: the last sample, and its label, are repeated there.
struct Row {
  float* scores;
  std::uint8_t* labels;
  bool finite;
};

struct RowReader {
  int classes;           // at least 2
  std::int64_t width;    // samples in a row
  std::int64_t stride;   // from class to class in a Row
  float* best;           // (width)
  std::int32_t* winner;  // (width)
};

inline RowReader cut_reader(Scratch& scratch, int classes, std::int64_t width) {
  return {classes, width, width + 1 + kPiece + kLanes, scratch.take<float>(width),
          scratch.take<std::int32_t>(width)};
}

inline Row cut_row(Scratch& scratch, const RowReader& reader) {
  return {scratch.take<float>(reader.classes * reader.stride),
          scratch.take<std::uint8_t>(reader.width + 1), false};
}

// Copies and labels a row whose class c is at scores + c * plane. A null `scores`
// stands for class 0 of a network that has only class 1: it scores 0.
inline void read_class(const RowReader& reader, int c, const float* scores, Row& row) {
  float* __restrict__ copy = row.scores + c * reader.stride;
  float* __restrict__ best = reader.best;
  std::int32_t* __restrict__ winner = reader.winner;
  if (scores == nullptr) {
    std::fill_n(copy, reader.width, 0.0f);
  } else {
    std::copy_n(scores, reader.width, copy);
  }
  std::fill_n(copy + reader.width, reader.stride - reader.width,
              copy[reader.width - 1]);
  std::int32_t finite = 1;
  for (std::int64_t x = 0; x < reader.width; ++x) {
    const float score = copy[x];
    const bool wins = score > best[x];  // false for NaN, and for a tie
    const float new_best = wins ? score : best[x];
    const std::int32_t new_winner = wins ? c : winner[x];
    best[x] = new_best;
    winner[x] = new_winner;
    finite &= std::fabs(score) <= std::numeric_limits<float>::max();
  }
  row.finite = row.finite && finite != 0;
}

inline void read_row(const RowReader& reader, const float* scores, std::int64_t plane,
                     bool lone_class, Row& row) {
  std::fill_n(reader.best, reader.width, -kInfinity);
  std::fill_n(reader.winner, reader.width, 0);
  row.finite = true;
  for (int c = 0; c < reader.classes; ++c) {
    const int given = lone_class ? c - 1 : c;
    read_class(reader, c, given < 0 ? nullptr : scores + given * plane, row);
  }
  std::uint8_t* __restrict__ labels = row.labels;
  const std::int32_t* __restrict__ winner = reader.winner;
  for (std::int64_t x = 0; x < reader.width; ++x) {
    labels[x] = static_cast<std::uint8_t>(winner[x]);
  }
  labels[reader.width] = labels[reader.width - 1];
}

}  // namespace fuseg::grid
