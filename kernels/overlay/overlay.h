// Labels painted in their colours, over a frame or on their own.
//
//   labels   (H, W)     uint8, contiguous
//   palette  (K, 3)     uint8, contiguous, 1 <= K <= 256
//   frame    (H, W, 3)  uint8, rows `row_bytes` apart (any sign), or null
//   out      (H, W, 3)  uint8, contiguous, must not overlap an input
//
// A byte of out is mix(frame, colour, alpha), with 0 <= alpha <= 256; without a frame
// it is the colour. Pixels labelled `ignore` are the frame's, or 0 without one;
// ignore < 0 means none.
//
// Returns the largest label that is not `ignore`, 0 if there is none. If that label has
// no colour, nothing is written. CUDA looks at no label beforehand, and paints one
// without a colour as if it were `ignore`; its palette is on the host.
#pragma once

#include <cstddef>
#include <cstdint>

#include "common/host_device.h"
#include "simd/level.h"

struct CUstream_st;

namespace fuseg {

struct Overlay {
  const std::uint8_t* labels;
  const std::uint8_t* palette;
  const std::uint8_t* frame;
  std::uint8_t* out;
  std::ptrdiff_t row_bytes;
  std::int64_t height;
  std::int64_t width;
  int colours;
  int alpha;  // in 256ths
  int ignore;
  int threads;
};

FUSEG_BOTH inline std::uint8_t mix(std::uint8_t frame, std::uint8_t colour, int alpha) {
  return static_cast<std::uint8_t>((frame * (256 - alpha) + colour * alpha + 128) >> 8);
}

int overlay_cpu(const Overlay& job);
FUSEG_SIMD(int overlay_simd(const Overlay& job))
void overlay_cuda(const Overlay& job, CUstream_st* stream);

}  // namespace fuseg
