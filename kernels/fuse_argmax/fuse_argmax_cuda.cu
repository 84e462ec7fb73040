#include "fuse_argmax/fuse_argmax.h"
#include "fuse_argmax/strip.cuh"

// A block labels one tile, a thread one strip of it or several; nothing but labels, and
// what else is wanted, is written.
namespace fuseg {
namespace {

// The strips of one pass: a thread has kRows pixels of one column below each other,
// from row `first` of the tile on.
template <int kRows>
__device__ void label_strip(const Task& task, const Weights& weights, Tile<kRows>& tile,
                            std::int64_t top, std::int64_t left, int first, int x) {
  // Phase 2: at which of the pixels each map counts, and in which maps they share a
  // cell.
  Strip<kRows> strip{task, weights, tile, first, x, 0, 0};
#pragma unroll
  for (int m = 0; m < kMostMaps; ++m) {
    if (m >= task.count) continue;
    const Map& map = task.maps[m];
    const WeightedTap column = tile.column[m][x];
    bool one_cell = true;
#pragma unroll
    for (int r = 0; r < kRows; ++r) {
      const WeightedTap row = tile.row[m][first + r];
      const std::int64_t sample = std::int64_t{row.index} * map.width + column.index;
      one_cell &= row.index == tile.row[m][first].index;
      if (counts_at(map, sample, row, column)) {
        strip.counts |= 1u << (m * kRows + r);
      }
    }
    strip.one_cell |= static_cast<unsigned>(one_cell) << m;
  }

  // Phase 3: every class at the strip's pixels, and the best of them.
  float best[kRows];
  int label[kRows];
#pragma unroll
  for (int r = 0; r < kRows; ++r) {
    best[r] = -INFINITY;
    label[r] = 0;
  }
  for (int c = 0; c < task.classes; ++c) {
    float sum[kRows];
    strip.fuse(c, sum);
#pragma unroll
    for (int r = 0; r < kRows; ++r) {
      if (sum[r] > best[r]) {  // false for NaN, and for a tie
        best[r] = sum[r];
        label[r] = c;
      }
    }
  }

  // Phase 4: for the confidence, every class again beside the best.
  float total[kRows];
#pragma unroll
  for (int r = 0; r < kRows; ++r) total[r] = 0.0f;
  if (task.confidence != nullptr) {
    for (int c = 0; c < task.classes; ++c) {
      float sum[kRows];
      strip.fuse(c, sum);
#pragma unroll
      for (int r = 0; r < kRows; ++r) total[r] += __expf(sum[r] - best[r]);
    }
  }

  // Phase 5: the strip's results. Labels are collected on chip first, so that they can
  // leave 16 bytes at a time.
#pragma unroll
  for (int r = 0; r < kRows; ++r) {
    bool some = false;
    for (int m = 0; m < task.count; ++m) some |= strip.map_counts(m, r);
    const std::int64_t y = top + first + r;
    const std::int64_t at = y * task.out_width + left + x;
    const int shown = some ? label[r] : task.ignore;
    tile.label[first + r][x] = static_cast<std::uint16_t>(shown);
    if (y >= task.out_height || left + x >= task.out_width) continue;
    if (task.confidence != nullptr) task.confidence[at] = some ? 1.0f / total[r] : 0.0f;
    if (task.source != nullptr) {
      task.source[at] =
          some && best[r] > -INFINITY ? strip.source(r, label[r]) : kNoMap;
    }
  }
}

template <int kRows>
__global__ void __launch_bounds__(kThreads, 4)
    fuse_argmax_kernel(const __grid_constant__ Task task,
                       const __grid_constant__ Weights weights) {
  auto& tile = shared<Tile<kRows>>();
  const int thread = static_cast<int>(threadIdx.x);                 // 0 to 127
  const int height = task.passes * kStrips * kRows;                 // of the tile
  const std::int64_t left = std::int64_t{blockIdx.x} * kTileWidth;  // of the tile
  const std::int64_t top = std::int64_t{blockIdx.y} * height;

  // Phase 1: where the columns and rows of the tile lie among each map's samples. A
  // thread has one column or row of one map at a time, and a warp only columns or only
  // rows; those outside of the image get the tap of the last one inside.
  for (int i = thread; i < task.count * kTileWidth; i += kThreads) {
    const int m = i / kTileWidth;  // the map: 0 to 3
    const Map& map = task.maps[m];
    const std::int64_t x = min(left + i % kTileWidth, task.out_width - 1);
    tile.column[m][i % kTileWidth] = weighted_tap(
        affine_axis(map.width, task.out_width, task.align_corners), x, map.width);
  }
  for (int i = thread; i < task.count * height; i += kThreads) {
    const int m = i / height;
    const Map& map = task.maps[m];
    const std::int64_t y = min(top + i % height, task.out_height - 1);
    tile.row[m][i % height] = weighted_tap(
        affine_axis(map.height, task.out_height, task.align_corners), y, map.height);
  }
  __syncthreads();

  const int strip = thread / kTileWidth;  // of the pass: 0 or 1
  for (int pass = 0; pass < task.passes; ++pass) {
    const int first = (pass * kStrips + strip) * kRows;
    label_strip(task, weights, tile, top, left, first, thread % kTileWidth);
  }
  __syncthreads();
  const std::int64_t end = min(task.out_height, top + height);
  store_labels(LabelTarget{task.labels, task.wide, end, task.out_width, top, left},
               tile.label);
}

template <int kRows>
void start(Task task, const Weights& weights, CUstream_st* stream) {
  const std::int64_t across = ceil_div(task.out_width, kTileWidth);
  const auto down = [&](int passes) {
    return ceil_div(task.out_height, std::int64_t{passes} * kStrips * kRows);
  };
  // Tall tiles share the work on their columns, if there are enough to go round.
  const bool many = across * down(kMostPasses) >= 4 * multiprocessors("fuse_argmax");
  task.passes = many ? kMostPasses : 1;
  const dim3 blocks(static_cast<unsigned>(across),
                    static_cast<unsigned>(down(task.passes)));
  launch("fuse_argmax", fuse_argmax_kernel<kRows>, blocks, kThreads, 0, stream, task,
         weights);
}

Task task_of(const FuseArgmax& job) {
  Task task{};
  for (int m = 0; m < job.count; ++m) {
    const ScoreMap& map = job.maps[m];
    task.maps[m] = {map.scores, map.valid, map.height, map.width, map.half};
  }
  task.count = job.count;
  task.classes = job.classes;
  task.mode = job.mode;
  task.align_corners = job.align_corners;
  task.wide = job.wide();
  task.ignore = job.ignore;
  task.labels = job.labels;
  task.confidence = job.confidence;
  task.source = job.source;
  task.out_height = job.out_height;
  task.out_width = job.out_width;
  return task;
}

Weights weights_of(const FuseArgmax& job) {
  Weights weights{};
  for (int m = 0; m < job.count; ++m) {
    const float* given = job.weights + m * job.classes;
    weights.of[m][0] = given[0];
    for (int c = 1; c < job.classes; ++c) weights.per_class |= given[c] != given[0];
  }
  if (!weights.per_class) return weights;
  if (job.classes > kMostClasses) {
    refuse("fuse_argmax", "weights that differ by class reach 224 classes");
  }
  for (int m = 0; m < job.count; ++m) {
    for (int c = 0; c < job.classes; ++c) {
      weights.of[m][c] = job.weights[m * job.classes + c];
    }
  }
  return weights;
}

}  // namespace

void fuse_argmax_cuda(const FuseArgmax& job, CUstream_st* stream) {
  if (job.out_height * job.out_width == 0) return;
  bool tall = true;  // four rows mostly share a cell of every map
  for (int m = 0; m < job.count; ++m) {
    tall &= job.out_height >= 6 * job.maps[m].height;
  }
  const Weights weights = weights_of(job);
  if (tall) {
    start<4>(task_of(job), weights, stream);
  } else {
    start<2>(task_of(job), weights, stream);
  }
}

}  // namespace fuseg
