#include "simd/simd.h"
#include "threshold_mask/threshold_mask.h"

namespace fuseg::FUSEG_LEVEL {

void threshold_mask_simd(const ThresholdMask& job) {
  const Floats threshold = all(job.threshold);
  std::int64_t i = 0;
  for (; i + kLanes <= job.pixels; i += kLanes) {
    store_ones(job.out + i, at_least(load(job.confidence + i), threshold));
  }
  for (; i < job.pixels; ++i) job.out[i] = job.confidence[i] >= job.threshold;
}

}  // namespace fuseg::FUSEG_LEVEL
