#include "fuse_argmax/fuse_argmax.h"
#include "label/samples.cuh"

// A block labels one tile, a thread one column of it and a few rows. Where all these
// rows lie in one cell of a map, as they mostly do, a class costs two sums across and
// one step per row; nothing but labels, and what else is wanted, is written.
namespace fuseg {
namespace {

constexpr int kThreads = 128;
constexpr int kTileWidth = 64;
constexpr int kStrips = kThreads / kTileWidth;
constexpr int kMostClasses = 224;  // with weights of their own: a launch takes 4 KB

struct Weights {
  float of[kMostMaps][kMostClasses];
  bool per_class;  // else of[m][0] is the map's

  __device__ float at(int m, int c) const { return of[m][per_class ? c : 0]; }
};

template <int kRows>
struct Tile {
  WeightedTap column[kMostMaps][kTileWidth];
  WeightedTap row[kMostMaps][kStrips * kRows];
  alignas(16) std::uint16_t label[kStrips * kRows][kTileWidth];
};

template <typename Score>
__device__ float score_at(const Score* sample, std::int64_t width,
                          const WeightedTap& row, const WeightedTap& column) {
  const float above = across(sample, column);
  return row.second == 0.0f
             ? above
             : row.first * above + row.second * across(sample + width, column);
}

// One class of one map at the rows of a strip. `sample` is the upper left one of row 0.
template <int kRows, typename Score>
__device__ void read_strip(const Score* __restrict__ sample, std::int64_t width,
                           const WeightedTap* row, const WeightedTap& column,
                           bool one_cell, float (&score)[kRows]) {
  if (!one_cell) {
#pragma unroll
    for (int r = 0; r < kRows; ++r) {
      const std::int64_t down = row[r].index - row[0].index;
      score[r] = score_at(sample + down * width, width, row[r], column);
    }
    return;
  }
  bool below = false;
#pragma unroll
  for (int r = 0; r < kRows; ++r) below |= row[r].second != 0.0f;
  const float first = across(sample, column);
  const float second = below ? across(sample + width, column) : 0.0f;
#pragma unroll
  for (int r = 0; r < kRows; ++r) {
    score[r] = between(first, second, row[r].first, row[r].second);
  }
}

__device__ bool counts_at(const ScoreMap& map, std::int64_t sample,
                          const WeightedTap& row, const WeightedTap& column) {
  if (map.valid == nullptr) return true;
  const std::uint8_t* valid = map.valid + sample;
  const bool right = column.second != 0.0f, lower = row.second != 0.0f;
  return __ldg(valid) != 0 && (!right || __ldg(valid + 1) != 0) &&
         (!lower || __ldg(valid + map.width) != 0) &&
         (!right || !lower || __ldg(valid + map.width + 1) != 0);
}

// One strip of one column.
template <int kRows>
struct Strip {
  const FuseArgmax& job;
  const Weights& weights;
  const Tile<kRows>& tile;
  int first;  // its first row in the tile
  int x;
  unsigned counts;    // bit m * kRows + r: map m counts at row r
  unsigned one_cell;  // bit m

  __device__ bool map_counts(int m, int r) const {
    return counts >> (m * kRows + r) & 1;
  }

  // The score of class c in map m, before its weight.
  __device__ void read(int m, int c, float (&score)[kRows]) const {
    const ScoreMap& map = job.maps[m];
    const WeightedTap* row = &tile.row[m][first];
    const WeightedTap column = tile.column[m][x];
    const std::int64_t at = (c * map.height + row->index) * map.width + column.index;
    const bool one = one_cell >> m & 1;
    if (map.half) {
      read_strip(static_cast<const Half*>(map.scores) + at, map.width, row, column, one,
                 score);
    } else {
      read_strip(static_cast<const float*>(map.scores) + at, map.width, row, column,
                 one, score);
    }
  }

  __device__ void fuse(int c, float (&sum)[kRows]) const {
#pragma unroll
    for (int r = 0; r < kRows; ++r) sum[r] = initial_score(job.mode);
    for (int m = 0; m < job.count; ++m) {
      const float weight = weights.at(m, c);
      if (weight == 0.0f || (counts >> m * kRows & ((1u << kRows) - 1)) == 0) continue;
      float score[kRows];
      read(m, c, score);
#pragma unroll
      for (int r = 0; r < kRows; ++r) {
        if (!map_counts(m, r)) continue;
        sum[r] = fused(job.mode, sum[r], weighted_score(job.mode, weight, score[r]));
      }
    }
  }

  __device__ std::uint8_t source(int r, int label) const {
    float best = -INFINITY;
    std::uint8_t found = kNoMap;
    for (int m = 0; m < job.count; ++m) {
      const float weight = weights.at(m, label);
      if (weight == 0.0f || !map_counts(m, r)) continue;
      float score[kRows];
      read(m, label, score);
      float at_row = 0.0f;
#pragma unroll
      for (int k = 0; k < kRows; ++k) at_row = k == r ? score[k] : at_row;
      const float own = weighted_score(job.mode, weight, at_row);
      if (own > best) {
        best = own;
        found = static_cast<std::uint8_t>(m);
      }
    }
    return found;
  }
};

template <int kRows>
__global__ void __launch_bounds__(kThreads, 4)
    fuse_argmax_kernel(const __grid_constant__ FuseArgmax job,
                       const __grid_constant__ Weights weights) {
  constexpr int kTileHeight = kStrips * kRows;
  auto& tile = shared<Tile<kRows>>();
  const int thread = static_cast<int>(threadIdx.x);                 // 0 to 127
  const std::int64_t left = std::int64_t{blockIdx.x} * kTileWidth;  // of the tile
  const std::int64_t top = std::int64_t{blockIdx.y} * kTileHeight;

  // Phase 1: where the columns and rows of the tile lie among each map's samples. A
  // thread has one column or row of one map at a time; those outside of the image get
  // the tap of the last one inside.
  for (int i = thread; i < job.count * (kTileWidth + kTileHeight); i += kThreads) {
    const int m = i / (kTileWidth + kTileHeight);  // the map: 0 to 3
    const int k = i % (kTileWidth + kTileHeight);  // 64 columns, then the rows
    const ScoreMap& map = job.maps[m];
    if (k < kTileWidth) {
      const std::int64_t x = min(left + k, job.out_width - 1);
      tile.column[m][k] = weighted_tap(
          affine_axis(map.width, job.out_width, job.align_corners), x, map.width);
    } else {
      const std::int64_t y = min(top + k - kTileWidth, job.out_height - 1);
      tile.row[m][k - kTileWidth] = weighted_tap(
          affine_axis(map.height, job.out_height, job.align_corners), y, map.height);
    }
  }
  __syncthreads();

  // Phase 2: a thread has a strip, kRows pixels below each other. At which of them each
  // map counts, and in which maps they share a cell.
  const int first = thread / kTileWidth * kRows;  // 0 or kRows
  const int x = thread % kTileWidth;              // 0 to 63
  Strip<kRows> strip{job, weights, tile, first, x, 0, 0};
#pragma unroll
  for (int m = 0; m < kMostMaps; ++m) {
    if (m >= job.count) continue;
    const ScoreMap& map = job.maps[m];
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
  for (int c = 0; c < job.classes; ++c) {
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
  if (job.confidence != nullptr) {
    for (int c = 0; c < job.classes; ++c) {
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
    for (int m = 0; m < job.count; ++m) some |= strip.map_counts(m, r);
    const std::int64_t y = top + first + r;
    const std::int64_t at = y * job.out_width + left + x;
    const int shown = some ? label[r] : job.ignore;
    tile.label[first + r][x] = static_cast<std::uint16_t>(shown);
    if (y >= job.out_height || left + x >= job.out_width) continue;
    if (job.confidence != nullptr) job.confidence[at] = some ? 1.0f / total[r] : 0.0f;
    if (job.source != nullptr) {
      job.source[at] = some && best[r] > -INFINITY ? strip.source(r, label[r]) : kNoMap;
    }
  }
  __syncthreads();
  store_labels(
      LabelTarget{job.labels, job.wide(), job.out_height, job.out_width, top, left},
      tile.label);
}

template <int kRows>
void start(const FuseArgmax& job, const Weights& weights, CUstream_st* stream) {
  const dim3 blocks(static_cast<unsigned>(ceil_div(job.out_width, kTileWidth)),
                    static_cast<unsigned>(ceil_div(job.out_height, kStrips * kRows)));
  launch("fuse_argmax", fuse_argmax_kernel<kRows>, blocks, kThreads, 0, stream, job,
         weights);
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
    start<4>(job, weights, stream);
  } else {
    start<2>(job, weights, stream);
  }
}

}  // namespace fuseg
