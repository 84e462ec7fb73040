// Labels painted in their colours, over a frame or on their own.
//
//   labels   (H, W)     uint8, contiguous
//   palette  (K, 3)     uint8, contiguous, 1 <= K <= 256
//   frame    (H, W, 3)  uint8, rows `row_bytes` apart (any sign), or null
//   out      (H, W, 3)  uint8, contiguous, must not overlap an input
//
// A byte of out is (frame * (256 - alpha) + colour * alpha + 128) / 256, rounded down,
// with 0 <= alpha <= 256; without a frame it is the colour. Pixels labelled `ignore`
// are the frame's, or 0 without one; ignore < 0 means none.
//
// Returns the largest label that is not `ignore`, -1 if there is none. If that label
// has no colour, nothing is written.
#pragma once

#include <cstddef>
#include <cstdint>

struct CUstream_st;

namespace fuseg {

int overlay_cpu(const std::uint8_t* labels, std::int64_t height, std::int64_t width,
                const std::uint8_t* palette, int colours, const std::uint8_t* frame,
                std::ptrdiff_t row_bytes, int alpha, int ignore, std::uint8_t* out);

struct Overlay {
  const std::uint8_t* labels;
  std::int64_t height;
  std::int64_t width;
  const std::uint8_t* palette;
  int colours;
  const std::uint8_t* frame;
  std::ptrdiff_t row_bytes;
  int alpha;
  int ignore;
  std::uint8_t* out;
};

void overlay_cuda(const Overlay& job, CUstream_st* stream);

}  // namespace fuseg
