// What a thread of fuse_argmax's CUDA kernel has before it: one column of a tile, and a
// few rows of it. Where all these rows lie in one cell of a map, as they mostly do, a
// class costs two sums across and one step per row.
#pragma once

#include <cstdint>

#include "fuse_argmax/fuse_argmax.h"
#include "label/samples.cuh"

namespace fuseg {

constexpr int kThreads = 128;
constexpr int kTileWidth = 64;
constexpr int kStrips = kThreads / kTileWidth;
constexpr int kMostPasses = 4;
constexpr int kMostClasses = 224;  // with weights of their own: a launch takes 4 KB

// A ScoreMap without its tables, which are the CPU's.
struct Map {
  const void* scores;
  const std::uint8_t* valid;
  std::int64_t height;
  std::int64_t width;
  bool half;
};

struct Task {
  Map maps[kMostMaps];
  int count;
  int classes;
  FusionMode mode;
  bool align_corners;
  bool wide;
  int ignore;
  int passes;  // of a block over strips: 1 or kMostPasses
  void* labels;
  float* confidence;
  std::uint8_t* source;
  std::int64_t out_height;
  std::int64_t out_width;
};

struct Weights {
  float of[kMostMaps][kMostClasses];
  bool per_class;  // else of[m][0] is the map's

  __device__ float at(int m, int c) const { return of[m][per_class ? c : 0]; }
};

template <int kRows>
struct Tile {
  static constexpr int kMostHeight = kMostPasses * kStrips * kRows;
  WeightedTap column[kMostMaps][kTileWidth];
  WeightedTap row[kMostMaps][kMostHeight];
  alignas(16) std::uint16_t label[kMostHeight][kTileWidth];
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

__device__ bool counts_at(const Map& map, std::int64_t sample, const WeightedTap& row,
                          const WeightedTap& column) {
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
  const Task& task;
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
    const Map& map = task.maps[m];
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
    for (int r = 0; r < kRows; ++r) sum[r] = initial_score(task.mode);
    for (int m = 0; m < task.count; ++m) {
      const float weight = weights.at(m, c);
      if (weight == 0.0f || (counts >> m * kRows & ((1u << kRows) - 1)) == 0) continue;
      float score[kRows];
      read(m, c, score);
#pragma unroll
      for (int r = 0; r < kRows; ++r) {
        if (!map_counts(m, r)) continue;
        sum[r] = fused(task.mode, sum[r], weighted_score(task.mode, weight, score[r]));
      }
    }
  }

  __device__ std::uint8_t source(int r, int label) const {
    float best = -INFINITY;
    std::uint8_t found = kNoMap;
    for (int m = 0; m < task.count; ++m) {
      const float weight = weights.at(m, label);
      if (weight == 0.0f || !map_counts(m, r)) continue;
      float score[kRows];
      read(m, label, score);
      float at_row = 0.0f;
#pragma unroll
      for (int k = 0; k < kRows; ++k) at_row = k == r ? score[k] : at_row;
      const float own = weighted_score(task.mode, weight, at_row);
      if (own > best) {
        best = own;
        found = static_cast<std::uint8_t>(m);
      }
    }
    return found;
  }
};

}  // namespace fuseg
