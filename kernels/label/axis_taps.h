// Where every output position of one axis reads its samples, as tables: laid once by
// whoever plans a resize, read by its kernels.
#pragma once

#include <cstdint>

#include "common/resample.h"
#include "common/scratch.h"

namespace fuseg {

// Position x lies a `fraction` of the way from sample first[x] to sample second[x].
// Where the fraction is 0, both are the same sample. The positions of sample i are
// those from start[i] to start[i + 1].
struct AxisTaps {
  static constexpr std::int64_t kSpare = 16;  // repeats the last, for whole vectors

  std::int64_t samples;
  std::int64_t count;
  bool on_samples;       // every fraction is 0
  std::int32_t* start;   // (samples + 1)
  std::int32_t* first;   // (count + kSpare)
  std::int32_t* second;  // (count + kSpare)
  float* fraction;       // (count + kSpare), below 1
};

inline AxisTaps cut_taps(Scratch& scratch, std::int64_t samples, std::int64_t count) {
  return {samples,
          count,
          false,
          scratch.take<std::int32_t>(samples + 1),
          scratch.take<std::int32_t>(count + AxisTaps::kSpare),
          scratch.take<std::int32_t>(count + AxisTaps::kSpare),
          scratch.take<float>(count + AxisTaps::kSpare)};
}

inline void fill_taps(const AffineAxis& line, AxisTaps& taps) {
  constexpr float kBelowOne = 0.99999994f;
  taps.on_samples = true;
  std::int64_t sample = 0;
  taps.start[0] = 0;
  for (std::int64_t x = 0; x < taps.count + AxisTaps::kSpare; ++x) {
    const Tap tap = line.tap(x < taps.count ? x : taps.count - 1, taps.samples);
    const float fraction = static_cast<float>(tap.fraction);
    taps.first[x] = static_cast<std::int32_t>(tap.index);
    taps.second[x] = static_cast<std::int32_t>(tap.index + (fraction > 0.0f));
    taps.fraction[x] = fraction < 1.0f ? fraction : kBelowOne;
    taps.on_samples &= fraction == 0.0f;
    while (sample < tap.index && x < taps.count) {
      taps.start[++sample] = static_cast<std::int32_t>(x);
    }
  }
  while (sample < taps.samples) {
    taps.start[++sample] = static_cast<std::int32_t>(taps.count);
  }
}

}  // namespace fuseg
