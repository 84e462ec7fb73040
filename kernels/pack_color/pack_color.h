// A colour frame to the three planes a network reads: crop, turn, resize, normalise,
// split.
//
//   frame  (H, W, pixel_bytes)  uint8, pixels of a row adjacent, rows `row_bytes` apart
//                               (any sign), pixel_bytes 1, 3 or 4
//   out    (3, h, w)  float32, float16 or int8, contiguous, every element written; int8
//                     also three channels of a tensor in groups of four, as `planes`
//                     says, whose other elements are neither read nor written
//
// Plane p takes byte channel[p] of a pixel and holds pixel * multiply[p] + add[p];
// where the picture does not reach (letterbox) it holds `fill`. int8 is the nearest
// whole number, ties to even, saturated.
//
// The pixel is the one at AxisMap::tap (nearest filters), or blended from the four
// around it (kBilinear), or the mean under two FilterSupports (kAntialias), in both
// axes of `geometry`; nothing beyond the crop counts. Within 1e-4 of the exact blend;
// exact for the nearest filters, and where the crop has the picture's size.
//
// `tables` is what pack_color_tables wrote for the same crop, picture and filter;
// `scratch` is any memory of pack_color_scratch_bytes. CUDA reads neither. The result
// does not depend on `threads`.
#pragma once

#include <cstddef>
#include <cstdint>

#include "common/geometry.h"
#include "common/out_planes.h"
#include "common/resample.h"
#include "simd/level.h"

struct CUstream_st;

namespace fuseg {

struct PackColor {
  enum class Element { kFloat32 = 0, kFloat16 = 1, kInt8 = 2 };

  const std::uint8_t* frame;
  std::ptrdiff_t row_bytes;
  int pixel_bytes;
  int channel[3];
  Filter filter;
  Geometry geometry;
  float multiply[3];
  float add[3];
  float fill;
  Element element;
  void* out;
  OutPlanes<3> planes;  // the step is 1 or, for int8, kGroup
  const void* tables;
  void* scratch;
  int threads;
};

// Round to the nearest whole number, ties to even, and saturate.
FUSEG_BOTH inline std::int8_t to_int8(float value) {
  if (!(value > -128.0f)) return -128;
  if (value >= 127.0f) return 127;
  // In this range the sum has no fraction bits left: it is rounded as IEEE 754 rounds.
  const float magic = 12582912.0f;  // 1.5 * 2^23
  return static_cast<std::int8_t>(static_cast<int>(value + magic - magic));
}

std::int64_t pack_color_tables_bytes(const PackColor& job);
std::int64_t pack_color_scratch_bytes(const PackColor& job);
void pack_color_tables(const PackColor& job, void* tables);

void pack_color_cpu(const PackColor& job);
FUSEG_SIMD(void pack_color_simd(const PackColor& job))
void pack_color_cuda(const PackColor& job, CUstream_st* stream);

}  // namespace fuseg
