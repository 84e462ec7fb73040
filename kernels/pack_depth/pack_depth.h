// A depth, thermal or height frame to the plane a network reads: crop, turn, resize,
// normalise, and a fixed value where the sensor gave no reading.
//
//   frame    (H, W)  uint8, uint16 or float32, rows `row_bytes` apart (any sign); only
//                    the crop of `geometry` is read. On the CPU at any address.
//   out      (h, w)  float32, float16 or int8, contiguous, every element written; int8
//                    also a channel of a tensor in groups of four, as `planes` says,
//                    whose other elements are neither read nor written
//   valid    (h, w)  uint8, contiguous, or null: 1 where out is a reading, else 0
//   readings (1)     how many elements of out are readings
//
// A raw value is no reading if it equals one of `invalid`, or lies outside of
// (`below`, `above`), as NaN does; of integers, those bounds are not looked at and hold
// all. With them the caller keeps out what would overflow. The nearest filters take the
// raw value at nearest_tap; kBilinear takes blend() of the four around linear_tap, of
// those that have a weight and are readings. out is `normalised` raw, or `fill` where
// there is no reading and outside the picture. Nearest results are the same bits on
// every machine; bilinear ones are within 2^-20 of the largest tap before they are
// normalised. Taps beyond 2^126 may blend to infinity or NaN; `below` and `above` can
// keep them out.
//
// `memory` is pack_depth_memory_bytes(job) of the caller's, which pack_depth_prepare
// has written to; both depend on `in`, `geometry`, `filter`, `threads` and the level,
// and on nothing else of the job. CUDA needs none,
// and counts no readings: nobody would wait for them.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>

#include "common/geometry.h"
#include "common/out_planes.h"
#include "common/resample.h"
#include "simd/level.h"

struct CUstream_st;

namespace fuseg {

struct PackDepth {
  static constexpr int kMostInvalid = 16;
  enum class In { kUint8 = 0, kUint16 = 1, kFloat32 = 2 };
  enum class Out { kFloat32 = 0, kFloat16 = 1, kInt8 = 2 };

  const void* frame;
  In in;
  std::ptrdiff_t row_bytes;
  Geometry geometry;
  Filter filter;
  float invalid[kMostInvalid];
  int invalid_count;
  float below;
  float above;
  float multiply;
  float add;
  float fill;
  void* out;
  Out out_type;
  OutPlanes<1> planes;  // the step is 1 or, for int8, kGroup
  std::uint8_t* valid;
  std::int64_t* readings;
  void* memory;
  int threads;
};

// The one or two of the frame's rows, or columns, that a position of the picture reads.
// With one, `far` is `near` and its weight 0.
struct TapPair {
  std::int32_t near;
  std::int32_t far;
  float near_weight;
  float far_weight;
};

FUSEG_BOTH inline TapPair tap_pair(const AxisMap& side, std::int64_t i, Filter filter) {
  if (filter != Filter::kBilinear) {
    const std::int64_t only = side.frame(nearest_tap(i, side.in, side.out, filter));
    const std::int32_t index = static_cast<std::int32_t>(only);
    return {index, index, 1.0f, 0.0f};
  }
  const Tap tap = linear_tap(i, side.in, side.out);
  const std::int64_t next = tap.fraction > 0 ? tap.index + 1 : tap.index;
  return {static_cast<std::int32_t>(side.frame(tap.index)),
          static_cast<std::int32_t>(side.frame(next)),
          static_cast<float>(1 - tap.fraction), static_cast<float>(tap.fraction)};
}

FUSEG_BOTH inline bool is_reading(float raw, const PackDepth& job) {
  for (int i = 0; i < job.invalid_count; ++i) {
    if (raw == job.invalid[i]) return false;
  }
  return raw > job.below && raw < job.above;  // false for NaN
}

// The mean of a row's two taps and of two rows; weights that add up to 1.
FUSEG_BOTH inline float mean(float near, float far, float near_weight,
                             float far_weight) {
  return near * near_weight + far * far_weight;
}

// The blend of tap[row][column], or NaN if none of those that count is a reading.
FUSEG_BOTH inline float blend(const float (&tap)[2][2], const TapPair& row,
                              const TapPair& column, const PackDepth& job) {
  float sum[2], weight[2];
  bool whole = true;
  for (int r = 0; r < 2; ++r) {
    const bool near = is_reading(tap[r][0], job), far = is_reading(tap[r][1], job);
    const float near_weight = near ? column.near_weight : 0.0f;
    const float far_weight = far ? column.far_weight : 0.0f;
    sum[r] = mean(near ? tap[r][0] : 0, far ? tap[r][1] : 0, near_weight, far_weight);
    weight[r] = near_weight + far_weight;
    whole = whole && near && far;
  }
  const float value = mean(sum[0], sum[1], row.near_weight, row.far_weight);
  if (whole) return value;
  const float share = mean(weight[0], weight[1], row.near_weight, row.far_weight);
  return share > 0 ? value / share : NAN;
}

// Rounded after the product and after the sum: compile it without contraction.
FUSEG_BOTH inline float normalised(float raw, const PackDepth& job) {
  return raw * job.multiply + job.add;
}

// To the nearest whole number, ties to even, saturated. `value` is not NaN.
FUSEG_BOTH inline std::int8_t depth_to_int8(float value) {
  const float inside = value < -128 ? -128.0f : value > 127 ? 127.0f : value;
  return static_cast<std::int8_t>(rintf(inside));
}

std::int64_t pack_depth_memory_bytes_cpu(const PackDepth& job);
void pack_depth_prepare_cpu(const PackDepth& job);
void pack_depth_cpu(const PackDepth& job);

// Whether pack_depth would count more than 0 readings. Stops at the first one, so a
// good frame costs nothing. Any level's `memory` will do.
bool has_reading_cpu(const PackDepth& job);

FUSEG_SIMD(std::int64_t pack_depth_memory_bytes_simd(const PackDepth& job);
           void pack_depth_prepare_simd(const PackDepth& job);
           void pack_depth_simd(const PackDepth& job))
void pack_depth_cuda(const PackDepth& job, CUstream_st* stream);

}  // namespace fuseg
