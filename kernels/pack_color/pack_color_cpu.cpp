#include "pack_color/pack_color.h"

#include <algorithm>
#include <cstring>

#include "common/scratch.h"
#include "common/widest.h"

namespace fuseg {
namespace {

constexpr std::int64_t kBlock = 128;  // pixels on their way from a row to the planes

struct Buffers {
  std::int32_t* column;  // (w) left tap of an output column, or its only one
  float* fraction;       // (w) how far towards the next pixel
  float* row;            // (W + 1, 3) and one float: two frame rows blended
};

Buffers cut(Scratch& scratch, std::int64_t width, std::int64_t out_width) {
  return {scratch.take<std::int32_t>(out_width), scratch.take<float>(out_width),
          scratch.take<float>(3 * width + 4)};
}

// One channel's way out.
struct Plane {
  float* out;
  float multiply;
  float add;
};

// The three bytes of a pixel in the low bytes of a word, the fourth left to chance. A
// whole word is read, except from the last pixel: a frame may end at its third byte.
inline std::uint32_t load_pixel(const std::uint8_t* row, std::int64_t column,
                                std::int64_t last) {
  const std::uint8_t* pixel = row + 3 * column;
  if (column == last) {
    return pixel[0] | std::uint32_t{pixel[1]} << 8 | std::uint32_t{pixel[2]} << 16;
  }
  std::uint32_t word;
  std::memcpy(&word, pixel, sizeof word);
  return word;
}

inline void nearest_row(const std::uint8_t* row, std::int64_t width,
                        const Buffers& buffers, const Plane (&planes)[3],
                        std::int64_t at, std::int64_t out_width) {
  std::uint32_t words[kBlock];
  for (std::int64_t x0 = 0; x0 < out_width; x0 += kBlock) {
    const std::int64_t count = std::min(kBlock, out_width - x0);
    const std::int32_t* column = buffers.column + x0;
    for (std::int64_t x = 0; x < count; ++x) {
      words[x] = load_pixel(row, column[x], width - 1);
    }
    for (int c = 0; c < 3; ++c) {
      const Plane plane = planes[c];
      float* __restrict__ out = plane.out + at + x0;
      for (std::int64_t x = 0; x < count; ++x) {
        const int value = static_cast<int>(words[x] >> (8 * c) & 255);
        out[x] = static_cast<float>(value) * plane.multiply + plane.add;
      }
    }
  }
}

inline void blend_rows(const std::uint8_t* __restrict__ above,
                       const std::uint8_t* __restrict__ below, float fraction,
                       float* __restrict__ row, std::int64_t width) {
  for (std::int64_t i = 0; i < 3 * width; ++i) {
    const int a = above[i];
    const int b = below[i];
    row[i] = static_cast<float>(a) + fraction * static_cast<float>(b - a);
  }
  for (int c = 0; c < 4; ++c) row[3 * width + c] = row[3 * width - 3 + c % 3];
}

// Works on four floats a pixel: the fourth is the next pixel's first, and is dropped.
inline void blend_columns(const Buffers& buffers, const Plane (&planes)[3],
                          std::int64_t at, std::int64_t out_width) {
  alignas(64) float pixels[4 * kBlock];
  for (std::int64_t x0 = 0; x0 < out_width; x0 += kBlock) {
    const std::int64_t count = std::min(kBlock, out_width - x0);
    for (std::int64_t x = 0; x < count; ++x) {
      const float* from = buffers.row + 3 * std::int64_t{buffers.column[x0 + x]};
      const float fraction = buffers.fraction[x0 + x];
      for (int c = 0; c < 4; ++c) {
        pixels[4 * x + c] = from[c] + fraction * (from[c + 3] - from[c]);
      }
    }
    for (int c = 0; c < 3; ++c) {
      const Plane plane = planes[c];
      float* __restrict__ out = plane.out + at + x0;
      for (std::int64_t x = 0; x < count; ++x) {
        out[x] = pixels[4 * x + c] * plane.multiply + plane.add;
      }
    }
  }
}

}  // namespace

std::int64_t pack_color_scratch_bytes(std::int64_t width, std::int64_t out_width) {
  Scratch measure(nullptr);
  cut(measure, width, out_width);
  return measure.bytes();
}

void pack_color_cpu(const std::uint8_t* frame, std::int64_t height, std::int64_t width,
                    std::ptrdiff_t row_bytes, float* out, std::int64_t out_height,
                    std::int64_t out_width, const float* multiply, const float* add,
                    bool swap, Filter filter, void* scratch) {
  Scratch block(scratch);
  const Buffers buffers = cut(block, width, out_width);
  Plane planes[3];  // by channel of the frame
  for (int c = 0; c < 3; ++c) {
    const int p = swap ? 2 - c : c;
    planes[c] = {out + p * out_height * out_width, multiply[p], add[p]};
  }
  const bool same_size = height == out_height && width == out_width;
  if (same_size || filter != Filter::kBilinear) {
    if (same_size) filter = Filter::kNearest;
    for (std::int64_t x = 0; x < out_width; ++x) {
      buffers.column[x] =
          static_cast<std::int32_t>(nearest_tap(x, width, out_width, filter));
    }
    run_widest([&] {
      for (std::int64_t y = 0; y < out_height; ++y) {
        const std::int64_t from = nearest_tap(y, height, out_height, filter);
        nearest_row(frame + from * row_bytes, width, buffers, planes, y * out_width,
                    out_width);
      }
    });
    return;
  }
  for (std::int64_t x = 0; x < out_width; ++x) {
    const Tap tap = linear_tap(x, width, out_width);
    buffers.column[x] = static_cast<std::int32_t>(tap.index);
    buffers.fraction[x] = static_cast<float>(tap.fraction);
  }
  run_widest([&] {
    for (std::int64_t y = 0; y < out_height; ++y) {
      const Tap tap = linear_tap(y, height, out_height);
      const std::uint8_t* above = frame + tap.index * row_bytes;
      const std::uint8_t* below = tap.fraction > 0 ? above + row_bytes : above;
      blend_rows(above, below, static_cast<float>(tap.fraction), buffers.row, width);
      blend_columns(buffers, planes, y * out_width, out_width);
    }
  });
}

}  // namespace fuseg
