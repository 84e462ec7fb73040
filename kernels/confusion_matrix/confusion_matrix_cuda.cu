#include "confusion_matrix/confusion_matrix.h"
#include "cuda/device.cuh"

namespace fuseg {
namespace {

constexpr int kThreads = 256;
constexpr int kBlocksAtOnce = 4;  // on a multiprocessor
constexpr std::int64_t kMostShared = 48 << 10;

struct Counted {
  const std::uint8_t* truth;
  const std::uint8_t* prediction;
  std::int64_t bytes;  // of either
  std::uint32_t classes;
  std::uint32_t ignore;  // no label if none is ignored
  unsigned long long* counts;
};

// Labels come in patches: a thread counts what is alike in a row before it adds it.
template <typename Table>
struct Runs {
  Table* table;
  std::int64_t cell = -1;
  unsigned length = 0;

  __device__ void meet(std::int64_t next) {
    if (next == cell) {
      ++length;
      return;
    }
    flush();
    cell = next;
    length = 1;
  }
  __device__ void flush() {
    if (cell >= 0) atomicAdd(table + cell, static_cast<Table>(length));
  }
};

// -1 for a pixel that does not count.
__device__ std::int64_t cell_of(const Counted& job, std::uint32_t truth,
                                std::uint32_t prediction) {
  const bool counts =
      truth < job.classes && prediction < job.classes && truth != job.ignore;
  return counts ? std::int64_t{truth} * job.classes + prediction : -1;
}

// Threads stride over pieces of sixteen bytes of both arrays.
template <int kLabelBytes, typename Table>
__device__ void count_into(const Counted& job, Table* table) {
  constexpr std::uint32_t kLabel = kLabelBytes == 1 ? 0xff : 0xffff;
  const std::int64_t stride = std::int64_t{gridDim.x} * kThreads * 16;  // bytes
  std::int64_t at = (std::int64_t{blockIdx.x} * kThreads + threadIdx.x) * 16;
  for (; at < job.bytes; at += stride) {
    const std::int64_t left = job.bytes - at;
    const Vec16 truth = load_bytes(job.truth + at, left);
    const Vec16 prediction = load_bytes(job.prediction + at, left);
    Runs<Table> runs{table};
#pragma unroll
    for (int i = 0; i < 16; i += kLabelBytes) {  // the label's first byte
      if (i >= left) continue;
      const int shift = i % 4 * 8;  // in its word: 0, 8, 16 or 24
      runs.meet(cell_of(job, truth.word[i / 4] >> shift & kLabel,
                        prediction.word[i / 4] >> shift & kLabel));
    }
    runs.flush();
  }
}

// Every block counts on chip, and adds what it found to the whole. In phases 1 and 3
// thread t has cells t, t + 256, t + 512 and so on, row-major.
template <int kLabelBytes>
__global__ void __launch_bounds__(kThreads, kBlocksAtOnce)
    confusion_matrix_kernel(const __grid_constant__ Counted job) {
  auto* table = static_cast<std::uint32_t*>(shared_block());
  const auto cells = static_cast<int>(job.classes * job.classes);  // up to 12,288
  const int thread = static_cast<int>(threadIdx.x);                // 0 to 255

  // Phase 1: an empty table.
  for (int i = thread; i < cells; i += kThreads) table[i] = 0;
  __syncthreads();

  // Phase 2: the block's share of the pixels.
  count_into<kLabelBytes>(job, table);
  __syncthreads();

  // Phase 3: what it found, to the whole.
  for (int i = thread; i < cells; i += kThreads) {
    const std::uint32_t found = table[i];
    if (found != 0) {
      atomicAdd(job.counts + i, static_cast<unsigned long long>(found));
    }
  }
}

// With too many classes for that, every run is added to the whole.
template <int kLabelBytes>
__global__ void __launch_bounds__(kThreads, kBlocksAtOnce)
    large_confusion_matrix_kernel(const __grid_constant__ Counted job) {
  count_into<kLabelBytes>(job, job.counts);
}

}  // namespace

void confusion_matrix_cuda(const ConfusionMatrix& job, CUstream_st* stream) {
  if (job.pixels == 0) return;
  const Counted counted{static_cast<const std::uint8_t*>(job.truth),
                        static_cast<const std::uint8_t*>(job.prediction),
                        job.pixels * job.label_bytes,
                        static_cast<std::uint32_t>(job.classes),
                        static_cast<std::uint32_t>(job.ignore),
                        reinterpret_cast<unsigned long long*>(job.counts)};
  const std::int64_t shared = std::int64_t{4} * job.classes * job.classes;
  const bool small = shared <= kMostShared;
  const auto kernel = small ? (job.label_bytes == 1 ? confusion_matrix_kernel<1>
                                                    : confusion_matrix_kernel<2>)
                            : (job.label_bytes == 1 ? large_confusion_matrix_kernel<1>
                                                    : large_confusion_matrix_kernel<2>);
  const std::int64_t pieces = ceil_div(counted.bytes, 16 * kThreads);
  // No more than run at once: every block adds its whole table in the end.
  const std::int64_t most = kBlocksAtOnce * multiprocessors("confusion_matrix");
  const dim3 blocks(static_cast<unsigned>(pieces < most ? pieces : most));
  launch("confusion_matrix", kernel, blocks, kThreads,
         static_cast<std::size_t>(small ? shared : 0), stream, counted);
}

}  // namespace fuseg
