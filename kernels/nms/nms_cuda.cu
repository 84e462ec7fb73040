#include "cuda/device.cuh"
#include "nms/nms.h"

namespace fuseg {
namespace {

constexpr unsigned kThreads = 1024;

struct Suppressed {
  const float* boxes;
  const float* scores;
  const std::int32_t* classes;
  std::int64_t candidates;
  float iou_threshold;
  std::int64_t most;
  std::int32_t* kept;
};

// The lowest key of the block's threads, in all of them. `firsts`, one of each warp, is
// free again two calls later.
__device__ std::uint64_t lowest(std::uint64_t key, std::uint64_t* firsts) {
  for (int step = kWarp / 2; step > 0; step /= 2) {
    key = min(key, __shfl_xor_sync(~0u, key, step));
  }
  if (threadIdx.x % kWarp == 0) firsts[threadIdx.x / kWarp] = key;
  __syncthreads();
  key = firsts[threadIdx.x % kWarp];
  for (int step = kWarp / 2; step > 0; step /= 2) {
    key = min(key, __shfl_xor_sync(~0u, key, step));
  }
  return key;
}

// One block. Thread t has candidates t, t + 1024 and so on, and a bit for each that is
// still there. Round after round the best of all stays, and what it overlaps goes.
__global__ void __launch_bounds__(kThreads)
    nms_kernel(const __grid_constant__ Suppressed job) {
  static_assert(kThreads == kWarp * kWarp);  // a warp can read what each warp found
  auto& firsts = shared<std::uint64_t[2][kWarp]>();
  auto* const open = static_cast<std::uint32_t*>(shared_block()) + threadIdx.x;
  const auto thread = static_cast<std::int64_t>(threadIdx.x);  // 0 to 1023

  // Round 0: all are there; a key of none is never the lowest.
  std::uint64_t best = kNoCandidate;
  for (std::int64_t i = thread, turn = 0; i < job.candidates; i += kThreads, ++turn) {
    if (turn % 32 == 0) open[turn / 32 * kThreads] = ~0u;
    best = min(best, nms_key(read(job.scores + i), i));
  }

  std::int64_t stay = 0;
  for (; stay < job.most; ++stay) {
    best = lowest(best, firsts[stay % 2]);
    if (best == kNoCandidate) break;
    const std::int64_t better = nms_index(best);
    if (thread == 0) job.kept[stay] = static_cast<std::int32_t>(better);
    const NmsBox box = nms_box(job.boxes + 4 * better);
    const std::int32_t of_class = job.classes[better];
    best = kNoCandidate;
    for (std::int64_t i = thread, turn = 0; i < job.candidates; i += kThreads, ++turn) {
      std::uint32_t& word = open[turn / 32 * kThreads];
      if ((word >> turn % 32 & 1u) == 0) continue;
      const bool goes = i == better || (job.classes[i] == of_class &&
                                        nms_overlap(box, nms_box(job.boxes + 4 * i),
                                                    job.iou_threshold));
      if (goes) {
        word &= ~(1u << turn % 32);
      } else {
        best = min(best, nms_key(read(job.scores + i), i));
      }
    }
  }
  for (std::int64_t i = stay + thread; i < job.most; i += kThreads) job.kept[i] = -1;
}

}  // namespace

void nms_cuda(const Nms& job, CUstream_st* stream) {
  const Suppressed suppressed{job.boxes,      job.scores,        job.classes,
                              job.candidates, job.iou_threshold, job.most,
                              job.kept};
  const std::int64_t words = ceil_div(ceil_div(job.candidates, kThreads), 32);
  launch("nms", nms_kernel, dim3(1), kThreads,
         static_cast<std::size_t>(words * kThreads) * sizeof(std::uint32_t), stream,
         suppressed);
}

}  // namespace fuseg
