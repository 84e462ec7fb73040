// Where the planes of a result lie in memory: one after the other, or as channels of a
// larger tensor in TensorRT's layout "chw4", (ceil(C / 4), h, w, 4), where four
// channels of a pixel lie side by side.
#pragma once

#include <cstdint>

namespace fuseg {

// Element (y, x) of plane p lies at start[p] + (y * width + x) * step.
template <int kPlanes>
struct OutPlanes {
  static constexpr std::int64_t kGroup = 4;

  std::int64_t start[kPlanes];
  std::int64_t step;

  // Planes of this many pixels. They begin at this channel of "chw4"; -1: linear.
  static OutPlanes from(std::int64_t channel, std::int64_t pixels) {
    OutPlanes planes{{}, channel < 0 ? 1 : kGroup};
    for (std::int64_t p = 0; p < kPlanes; ++p) {
      const std::int64_t at = channel + p;
      planes.start[p] =
          channel < 0 ? p * pixels : at / kGroup * pixels * kGroup + at % kGroup;
    }
    return planes;
  }
};

}  // namespace fuseg
