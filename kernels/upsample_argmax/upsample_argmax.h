// Labels at the camera's size from class scores at the network's, in one step: what
// bilinear resizing and argmax give, without the resized scores.
//
//   scores      (C, h, w)  float32, contiguous, 1 <= C <= 255
//   labels      (H, W)     uint8, contiguous, every element written
//   confidence  (H, W)     float32, contiguous, every element written; or null
//
// labels[y, x] is the smallest c whose bilinear score at
// ((y + 1/2) * h / H - 1/2, (x + 1/2) * w / W - 1/2), clamped to the grid, is largest;
// with `align_corners` at (y * (h - 1) / (H - 1), x * (w - 1) / (W - 1)). With C = 1
// it is 1 where that score is above 0: a class 0 that scores 0 everywhere is added.
//
// A sample of weight 0 is not read. NaN, and infinity minus infinity, never win; where
// no class beats -infinity the label is 0. In a cell whose four corners are finite and
// agree, exact arithmetic is followed; elsewhere float32 is, which may differ from it
// where the two best scores are closer than 1e-6 of the largest sample read there.
// `confidence` does not change the labels.
//
// confidence[y, x] is the largest softmax probability of the scores at that pixel,
// within 1e-5 while scores stay within +-30; NaN where a score read is NaN or
// +infinity, or all are -infinity.
//
// `scratch` is any memory of upsample_argmax_scratch_bytes(C, h, w, H, W).
#pragma once

#include <cstdint>

namespace fuseg {

std::int64_t upsample_argmax_scratch_bytes(int classes, std::int64_t height,
                                           std::int64_t width, std::int64_t out_height,
                                           std::int64_t out_width);

void upsample_argmax_cpu(const float* scores, int classes, std::int64_t height,
                         std::int64_t width, std::uint8_t* labels, float* confidence,
                         std::int64_t out_height, std::int64_t out_width,
                         bool align_corners, void* scratch);

}  // namespace fuseg
