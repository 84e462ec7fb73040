// A depth, thermal or height frame to the plane a network reads: resize, scale, and a
// fixed value where the sensor gave no reading.
//
//   frame    (H, W)  uint8, uint16 or float32, rows `row_bytes` apart (any sign)
//   invalid  (n)     float32: raw values that mean "no reading"
//   out      (h, w)  float32, contiguous, every element written
//
// out[y, x] is raw * multiply + add, rounded after the product and after the sum, or
// `fill` where raw equals one of `invalid` or is not finite. raw is
// frame[floor(y * H / h), floor(x * W / w)] (kNearest), the same with y + 1/2 and
// x + 1/2 (kNearestExact). Returns how many elements of out are readings.
//
// `scratch` is any memory of pack_depth_scratch_bytes(w).
#pragma once

#include <cstddef>
#include <cstdint>

#include "common/resample.h"

namespace fuseg {

std::int64_t pack_depth_scratch_bytes(std::int64_t out_width);

// T is uint8_t, uint16_t or float.
template <typename T>
std::int64_t pack_depth_cpu(const T* frame, std::int64_t height, std::int64_t width,
                            std::ptrdiff_t row_bytes, float* out,
                            std::int64_t out_height, std::int64_t out_width,
                            float multiply, float add, const float* invalid,
                            int invalid_count, float fill, Filter filter,
                            void* scratch);

// Whether pack_depth_cpu of the same arguments would return more than 0. Stops at the
// first reading, so a good frame costs nothing.
template <typename T>
bool has_reading_cpu(const T* frame, std::int64_t height, std::int64_t width,
                     std::ptrdiff_t row_bytes, std::int64_t out_height,
                     std::int64_t out_width, const float* invalid, int invalid_count,
                     Filter filter);

}  // namespace fuseg
