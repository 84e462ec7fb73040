// Labels at the camera's size from class scores at the network's, in one step: what
// bilinear resizing and argmax give, without the resized scores.
//
//   scores      (N, C, h, w)  float32 or float16, contiguous, 1 <= C <= 65535; or, of
//                             one image, (h, w, pitch) float16: the classes of a sample
//                             side by side, `pitch` a multiple of 8 and at least C, and
//                             for CUDA at a multiple of 16 bytes. What lies beyond
//                             the classes does not count.
//   labels      (N, H, W)     uint8 up to 255 classes, uint16 above; all are written
//   confidence  (N, H, W)     float32, contiguous, all are written; or null
//   nan_samples (1)           how many samples are without a softmax: a score is NaN or
//                             +infinity, or all are -infinity; or null. Those that no
//                             label needs may be left out.
//
// labels[n, y, x] is the smallest c whose bilinear score at (rows[y], columns[x]) on
// the grid of samples, clamped to it, is largest. With C = 1 it is 1 where that score
// is above 0: a class 0 that scores 0 everywhere is added.
//
// A sample of weight 0 is not read. NaN, and infinity minus infinity, never win; where
// no class beats -infinity the label is 0. Where the four samples around a pixel agree
// on the class, exact arithmetic is followed; elsewhere float32 is, which may differ
// from it where the two best scores are closer than 1e-6 of the largest sample around,
// or 1e-43. `confidence` does not change the labels, nor do `threads`.
//
// confidence[n, y, x] is the largest softmax probability of the scores at that pixel,
// within 1e-5 while scores stay within +-30; NaN where a score read is NaN or
// +infinity, or all are -infinity.
#pragma once

#include <cstdint>

#include "common/resample.h"
#include "label/axis_taps.h"
#include "simd/level.h"

struct CUstream_st;

namespace fuseg {

struct UpsampleArgmax {
  const void* scores;
  bool half;  // float16
  std::int64_t images;
  std::int64_t classes;
  std::int64_t height;
  std::int64_t width;
  std::int64_t pitch;  // 0: a plane for every class
  void* labels;
  float* confidence;
  std::int32_t* nan_samples;
  std::int64_t out_height;
  std::int64_t out_width;
  AffineAxis rows;
  AffineAxis columns;
  int threads;
  // On the CPU: the tables of `rows` and `columns`, and memory for
  // upsample_argmax_scratch_bytes().
  AxisTaps row_taps;
  AxisTaps column_taps;
  void* scratch;

  // Elements from one class to the next, and from one sample to the next in its row.
  FUSEG_BOTH std::int64_t class_step() const { return pitch == 0 ? height * width : 1; }
  FUSEG_BOTH std::int64_t sample_step() const { return pitch == 0 ? 1 : pitch; }

  // Of the scores that compete, the added one counted.
  FUSEG_BOTH std::int64_t rivals() const { return classes == 1 ? 2 : classes; }
  FUSEG_BOTH bool wide() const { return rivals() > 255; }
};

std::int64_t upsample_argmax_scratch_bytes(const UpsampleArgmax& job);

// What `nan_samples` counts, by all levels of the CPU.
std::int32_t count_nan_samples(const UpsampleArgmax& job);

void upsample_argmax_cpu(const UpsampleArgmax& job);
FUSEG_SIMD(void upsample_argmax_simd(const UpsampleArgmax& job))
void upsample_argmax_cuda(const UpsampleArgmax& job, CUstream_st* stream);

}  // namespace fuseg
