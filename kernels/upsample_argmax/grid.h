// What the loops of upsample_argmax stand on: where output pixels lie among the samples
// of the network's grid, and the two rows of samples in use.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

#include "common/ahead.h"
#include "common/resample.h"
#include "common/scratch.h"

namespace fuseg::grid {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

// Output positions along one axis. Cell i lies between samples i and i + 1 and holds
// the positions from start[i] to start[i + 1]; position x takes weight0[x] of the one
// sample and weight1[x] of the other. The last cell has only its first sample, and
// weight1 is 0 there.
struct Axis {
  std::int64_t samples;
  std::int64_t count;
  std::int32_t* start;  // (samples + 1)
  float* weight0;       // (count)
  float* weight1;       // (count)
};

inline Axis cut_axis(Scratch& scratch, std::int64_t samples, std::int64_t count) {
  return {samples, count, scratch.take<std::int32_t>(samples + 1),
          scratch.take<float>(count), scratch.take<float>(count)};
}

inline void lay_axis(const Axis& axis, bool align_corners) {
  std::int64_t cell = 0;
  axis.start[0] = 0;
  for (std::int64_t x = 0; x < axis.count; ++x) {
    const Tap tap = linear_tap(x, axis.samples, axis.count, align_corners);
    while (cell < tap.index) axis.start[++cell] = static_cast<std::int32_t>(x);
    axis.weight0[x] = static_cast<float>(1.0 - tap.fraction);
    axis.weight1[x] = static_cast<float>(tap.fraction);
  }
  while (cell < axis.samples) {
    axis.start[++cell] = static_cast<std::int32_t>(axis.count);
  }
}

// The class scores, (C, h, w). A network with one class gets a class 0 that scores 0.
struct Scores {
  const float* given;
  int classes;  // with the added one
  bool one_added;
  std::int64_t height;
  std::int64_t width;

  // Null for the added class.
  const float* row(int c, std::int64_t y) const {
    const int plane = one_added ? c - 1 : c;
    return plane < 0 ? nullptr : given + (plane * height + y) * width;
  }
};

// The winners of one row of samples, the last of them twice.
struct Row {
  std::int64_t y;
  std::uint8_t* labels;  // (w + 1)
  bool finite;
};

struct Contest {
  float* best;           // (w)
  std::int32_t* winner;  // (w)
};

inline void label_row(const Scores& scores, std::int64_t y, const Contest& contest,
                      Row& row) {
  float* __restrict__ best = contest.best;
  std::int32_t* __restrict__ winner = contest.winner;
  std::fill_n(best, scores.width, scores.one_added ? 0.0f : -kInfinity);
  std::fill_n(winner, scores.width, 0);
  std::int32_t finite = 1;
  for (int c = scores.one_added ? 1 : 0; c < scores.classes; ++c) {
    const float* __restrict__ samples = scores.row(c, y);
    if (y + 1 < scores.height) {
      Ahead{scores.row(c, y + 1), scores.width * 4}.ask(0, 1, 1);
    }
    for (std::int64_t x = 0; x < scores.width; ++x) {
      const float score = samples[x];
      const bool wins = score > best[x];  // false for NaN, and for a tie
      const float new_best = wins ? score : best[x];
      const std::int32_t new_winner = wins ? c : winner[x];
      best[x] = new_best;
      winner[x] = new_winner;
      finite &= std::fabs(score) <= std::numeric_limits<float>::max();
    }
  }
  std::uint8_t* __restrict__ labels = row.labels;
  for (std::int64_t x = 0; x < scores.width; ++x) {
    labels[x] = static_cast<std::uint8_t>(winner[x]);
  }
  labels[scores.width] = labels[scores.width - 1];
  row.y = y;
  row.finite = finite != 0;
}

}  // namespace fuseg::grid
