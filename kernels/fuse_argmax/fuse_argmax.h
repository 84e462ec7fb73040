// Labels at the camera's size from the class scores of 2 to 4 sensors, each on its own
// grid, in one step: what resizing every map, combining them class by class and argmax
// give, without the resized or the combined scores.
//
//   maps        2 to 4 of (C, h, w), float32 or float16, contiguous, C >= 2
//   weights     (maps, C)  float32, finite; not negative unless maps are added
//   valid       per map null or (h, w) uint8: 0 where the sensor has no reading
//   labels      (H, W)     uint8 up to 255 classes, uint16 above; all are written
//   confidence  (H, W)     float32, all are written; or null
//   source      (H, W)     uint8, all are written; or null
//
// Every map is read bilinearly at ((y + 1/2) * h / H - 1/2, (x + 1/2) * w / W - 1/2),
// clamped to its grid; with `align_corners` at (y * (h - 1) / (H - 1), ...). A sample
// of weight 0 there is not read. A map counts at a pixel if all samples it reads there
// are valid, and for a class if its weight for that class is not 0. The combined score
// of a class, over the maps that count, is
//   add       the sum of weight * score, 0 over none,
//   multiply  the sum of weight * log(score), 0 over none, with log 0 = -infinity,
//   max       the largest weight * score, -infinity over none; NaN is passed over.
//
// labels[y, x] is the smallest class of the largest combined score; NaN never wins, and
// where no class is above -infinity the label is 0. Where no map counts it is `ignore`.
// The arithmetic is float32: it may differ from exact arithmetic where the two best
// are closer than 1e-6 of the sum, over the maps, of the largest |weight * score| read
// (multiply: of weight * (1 + |log(score)|)); so may `source`. Every weight * score
// must be within float32. Neither threads nor the other buffers change the labels.
//
// confidence[y, x] is the largest softmax probability of the combined scores (multiply:
// the largest normalised product), within 1e-5 while the sum above stays below 30; NaN
// where a combined score is NaN or +infinity or all are -infinity, 0 where no map
// counts.
//
// source[y, x] is the map whose own weight * score (or weight * log(score)) of the
// label's class is largest, of those that count for it; the smallest of equal ones. It
// is 255 where no map counts, and where no class is above -infinity.
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>

#include "common/host_device.h"
#include "label/axis_taps.h"
#include "simd/level.h"

struct CUstream_st;

namespace fuseg {

constexpr int kMostMaps = 4;
constexpr std::uint8_t kNoMap = 255;

enum class FusionMode { kAdd = 0, kMultiply = 1, kMax = 2 };

struct ScoreMap {
  const void* scores;
  bool half;  // float16
  const std::uint8_t* valid;
  std::int64_t height;
  std::int64_t width;
  // On the CPU: where the output's rows and columns lie, and the weights of first
  // samples, which are not just 1 - fraction: near 0 that would be coarse.
  AxisTaps rows;
  AxisTaps columns;
  float* row_weight;     // (H)
  float* column_weight;  // (W + AxisTaps::kSpare)
};

struct FuseArgmax {
  ScoreMap maps[kMostMaps];
  int count;
  int classes;
  FusionMode mode;
  bool align_corners;
  const float* weights;
  void* labels;
  int ignore;
  float* confidence;
  std::uint8_t* source;
  std::int64_t out_height;
  std::int64_t out_width;
  int threads;
  void* scratch;  // on the CPU: fuse_argmax_scratch_bytes() of it

  FUSEG_BOTH bool wide() const { return classes > 255; }
};

// Between two samples; the second is not read if its weight is 0.
FUSEG_BOTH inline float between(float first, float second, float weight0,
                                float weight1) {
  return weight1 == 0.0f ? first : weight0 * first + weight1 * second;
}

// The score of a class in one map, weighted.
FUSEG_BOTH inline float weighted_score(FusionMode mode, float weight, float score) {
  return weight * (mode == FusionMode::kMultiply ? std::log(score) : score);
}

// What a combined score starts from.
FUSEG_BOTH inline float initial_score(FusionMode mode) {
  return mode == FusionMode::kMax ? -std::numeric_limits<float>::infinity() : 0.0f;
}

FUSEG_BOTH inline float fused(FusionMode mode, float so_far, float own) {
  if (mode != FusionMode::kMax) return so_far + own;
  return own > so_far ? own : so_far;
}

// Reads sizes and the number of threads only.
std::int64_t fuse_argmax_scratch_bytes(const FuseArgmax& job);

void fuse_argmax_cpu(const FuseArgmax& job);
FUSEG_SIMD(void fuse_argmax_simd(const FuseArgmax& job))
void fuse_argmax_cuda(const FuseArgmax& job, CUstream_st* stream);

}  // namespace fuseg
