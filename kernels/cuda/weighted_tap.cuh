// Where a position of the output lies among samples, and how much of each it takes. On
// the CPU that is a Tap, in float64, which most GPUs have a 64th of the units for.
#pragma once

#include <cstdint>

#include "common/resample.h"
#include "cuda/cuda.cuh"

namespace fuseg {

// Between sample `index`, counted from some first one, and the next.
struct WeightedTap {
  std::int32_t index;
  float first;
  float second;
};

// 1 - rest / unit and rest / unit as the CPU rounds them, from float64. A function of
// its own, so that tests see that nothing else has float64.
__device__ __noinline__ inline float2 weights_by_double(std::int64_t rest,
                                                        std::int64_t unit) {
  const double fraction = static_cast<double>(rest) / static_cast<double>(unit);
  return make_float2(static_cast<float>(1.0 - fraction), static_cast<float>(fraction));
}

// Below 2^24 rest and unit are exact in float32, and so their quotient is the same
// bits. 1 - fraction is too, up to 2^14; beyond, one in millions differs in its last
// bit.
__device__ inline WeightedTap weighted_tap(const AffineAxis& axis, std::int64_t i,
                                           std::int64_t in, std::int64_t from = 0) {
  const Place place = axis.place(i, in);
  WeightedTap tap{static_cast<std::int32_t>(place.index - from), 1.0f, 0.0f};
  if (axis.unit >= 1 << 24) {
    const float2 weights = weights_by_double(place.rest, axis.unit);
    tap.first = weights.x;
    tap.second = weights.y;
    return tap;
  }
  const auto unit = static_cast<std::int32_t>(axis.unit);
  const auto rest = static_cast<std::int32_t>(place.rest);
  tap.first = __fdiv_rn(__int2float_rn(unit - rest), __int2float_rn(unit));
  tap.second = __fdiv_rn(__int2float_rn(rest), __int2float_rn(unit));
  return tap;
}

}  // namespace fuseg
