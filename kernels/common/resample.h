// Where an output sample reads its input, along one axis. Positions are fractions of
// integers, so no table depends on rounding or on the machine.
#pragma once

#include <cstdint>

#include "common/host_device.h"

namespace fuseg {

enum class Filter { kNearest = 0, kNearestExact = 1, kBilinear = 2, kAntialias = 3 };

// floor(i * in / out), or floor((i + 1/2) * in / out).
FUSEG_BOTH inline std::int64_t nearest_tap(std::int64_t i, std::int64_t in,
                                           std::int64_t out, Filter filter) {
  return filter == Filter::kNearestExact ? (2 * i + 1) * in / (2 * out) : i * in / out;
}

// Between samples `index` and `index` + 1, a fraction of the way in [0, 1). At the last
// sample, and beyond, the fraction is 0: sample `index` + 1 need not exist.
struct Tap {
  std::int64_t index;
  double fraction;
};

// The position (first + i * step) / unit among `in` samples, clamped to them.
struct Line {
  std::int64_t first;
  std::int64_t step;
  std::int64_t unit;

  FUSEG_BOTH Tap tap(std::int64_t i, std::int64_t in) const {
    const std::int64_t position = first + i * step;
    if (position <= 0) return {0, 0.0};
    const std::int64_t index = position / unit;
    if (index >= in - 1) return {in - 1, 0.0};
    return {index, static_cast<double>(position % unit) / static_cast<double>(unit)};
  }
};

// Half-pixel centres, (i + 1/2) * in / out - 1/2, or, with `align_corners`, the first
// and last samples of both grids on top of each other, i * (in - 1) / (out - 1).
FUSEG_BOTH inline Line line_over(std::int64_t in, std::int64_t out,
                                 bool align_corners = false) {
  if (!align_corners) return {in - out, 2 * in, 2 * out};
  return out > 1 ? Line{0, in - 1, out - 1} : Line{0, 0, 1};
}

FUSEG_BOTH inline Tap linear_tap(std::int64_t i, std::int64_t in, std::int64_t out,
                                 bool align_corners = false) {
  return line_over(in, out, align_corners).tap(i, in);
}

}  // namespace fuseg
