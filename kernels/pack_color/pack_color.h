// A colour frame to the three planes a network reads: resize, scale, split.
//
//   frame  (H, W, 3)  uint8, pixels of a row adjacent, rows `row_bytes` apart (any
//   sign) out    (3, h, w)  float32, contiguous, every element written
//
// Plane p takes channel p, or channel 2 - p with `swap`, and holds
// pixel * multiply[p] + add[p], rounded after the product and after the sum.
//
// The pixel is frame[floor(y * H / h), floor(x * W / w)] (kNearest), the same with
// y + 1/2, x + 1/2 (kNearestExact), or blended from the four around
// ((y + 1/2) * H / h - 1/2, (x + 1/2) * W / w - 1/2), clamped to the frame (kBilinear):
// in float32, within 1e-4 of the exact blend; exact where h = H and w = W.
//
// `scratch` is any memory of pack_color_scratch_bytes(W, w).
#pragma once

#include <cstddef>
#include <cstdint>

#include "common/resample.h"

namespace fuseg {

std::int64_t pack_color_scratch_bytes(std::int64_t width, std::int64_t out_width);

void pack_color_cpu(const std::uint8_t* frame, std::int64_t height, std::int64_t width,
                    std::ptrdiff_t row_bytes, float* out, std::int64_t out_height,
                    std::int64_t out_width, const float* multiply, const float* add,
                    bool swap, Filter filter, void* scratch);

}  // namespace fuseg
