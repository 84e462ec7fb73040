#include "threshold_mask/threshold_mask.h"

namespace fuseg {

void threshold_mask_cpu(const ThresholdMask& job) {
  for (std::int64_t i = 0; i < job.pixels; ++i) {
    job.out[i] = job.confidence[i] >= job.threshold;  // false for NaN
  }
}

}  // namespace fuseg
