// Where a confidence is high enough.
//
//   confidence  (H, W)  float32, contiguous
//   out         (H, W)  uint8, contiguous, must not overlap confidence
//
// out is 1 where confidence >= threshold, else 0, as where it is NaN.
#pragma once

#include <cstdint>

#include "simd/level.h"

struct CUstream_st;

namespace fuseg {

struct ThresholdMask {
  const float* confidence;
  std::uint8_t* out;
  std::int64_t pixels;
  float threshold;
};

void threshold_mask_cpu(const ThresholdMask& job);
FUSEG_SIMD(void threshold_mask_simd(const ThresholdMask& job))
void threshold_mask_cuda(const ThresholdMask& job, CUstream_st* stream);

}  // namespace fuseg
