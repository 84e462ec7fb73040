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

// The same in whole numbers: `rest` / unit of the way.
struct Place {
  std::int64_t index;
  std::int64_t rest;
};

// The position (first + i * step) / unit among `in` samples, clamped to them.
struct AffineAxis {
  std::int64_t first;
  std::int64_t step;
  std::int64_t unit;

  FUSEG_BOTH Place place(std::int64_t i, std::int64_t in) const {
    const std::int64_t position = first + i * step;
    if (position <= 0) return {0, 0};
    const std::int64_t index = position / unit;
    if (index >= in - 1) return {in - 1, 0};
    return {index, position - index * unit};
  }

  FUSEG_BOTH Tap tap(std::int64_t i, std::int64_t in) const {
    const Place at = place(i, in);
    return {at.index, static_cast<double>(at.rest) / static_cast<double>(unit)};
  }
};

// Half-pixel centres, (i + 1/2) * in / out - 1/2, or, with `align_corners`, the first
// and last samples of both grids on top of each other, i * (in - 1) / (out - 1).
FUSEG_BOTH inline AffineAxis affine_axis(std::int64_t in, std::int64_t out,
                                         bool align_corners = false) {
  if (!align_corners) return {in - out, 2 * in, 2 * out};
  return out > 1 ? AffineAxis{0, in - 1, out - 1} : AffineAxis{0, 0, 1};
}

FUSEG_BOTH inline Tap linear_tap(std::int64_t i, std::int64_t in, std::int64_t out,
                                 bool align_corners = false) {
  return affine_axis(in, out, align_corners).tap(i, in);
}

// The samples that position `i` of `out` is the weighted mean of, with antialiasing: a
// triangle around (i + 1/2) * in / out that reaches one output step to both sides, and
// at least one sample. Weights are whole numbers; their share of `total` counts.
struct FilterSupport {
  std::int64_t first;
  std::int64_t end;
  std::int64_t total;
  std::int64_t centre;
  std::int64_t reach;
  std::int64_t step;

  FUSEG_BOTH std::int64_t weight(std::int64_t sample) const {
    const std::int64_t distance = (2 * sample + 1) * step - centre;
    return reach - (distance < 0 ? -distance : distance);
  }
  FUSEG_BOTH float share(std::int64_t sample) const {
    return static_cast<float>(static_cast<double>(weight(sample)) /
                              static_cast<double>(total));
  }
};

FUSEG_BOTH inline FilterSupport filter_support(std::int64_t i, std::int64_t in,
                                               std::int64_t out) {
  FilterSupport support{0, in, 0, (2 * i + 1) * in, 2 * (in > out ? in : out), out};
  const std::int64_t before = support.centre - support.reach - out;
  if (before >= 0) support.first = before / (2 * out) + 1;
  const std::int64_t after = (support.centre + support.reach + out - 1) / (2 * out);
  if (after < in) support.end = after;
  for (std::int64_t k = support.first; k < support.end; ++k)
    support.total += support.weight(k);
  return support;
}

}  // namespace fuseg
