#include "cuda/device.cuh"
#include "threshold_mask/threshold_mask.h"

namespace fuseg {
namespace {

constexpr int kThreads = 256;
constexpr int kAtOnce = 4;  // pixels of a thread

// A thread has four neighbours: a warp reads, and writes, side by side.
__global__ void __launch_bounds__(kThreads)
    threshold_mask_kernel(const __grid_constant__ ThresholdMask job) {
  const std::int64_t thread = std::int64_t{blockIdx.x} * kThreads + threadIdx.x;
  const std::int64_t at = thread * kAtOnce;
  if (at >= job.pixels) return;
  const auto count = static_cast<int>(min(job.pixels - at, std::int64_t{kAtOnce}));
  std::uint8_t high[kAtOnce];
#pragma unroll
  for (int k = 0; k < kAtOnce; ++k) {
    high[k] = k < count && read(job.confidence + at + k) >= job.threshold;
  }
  store_some<kAtOnce>(job.out + at, high, count);
}

}  // namespace

void threshold_mask_cuda(const ThresholdMask& job, CUstream_st* stream) {
  if (job.pixels == 0) return;  // a grid of zero blocks is a launch error
  const auto blocks = static_cast<unsigned>(ceil_div(job.pixels, kThreads * kAtOnce));
  launch("threshold_mask", threshold_mask_kernel, dim3(blocks), kThreads, 0, stream,
         job);
}

}  // namespace fuseg
