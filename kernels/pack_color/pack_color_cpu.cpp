#include <algorithm>
#include <cstring>

#include "common/ahead.h"
#include "common/scratch.h"
#include "common/widest.h"
#include "pack_color/pack_color.h"

namespace fuseg {
namespace {

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "nearest_row shifts words");

constexpr std::int64_t kBlock = 64;  // pixels on their way from a row to the planes

// What output columns read of a row, and the row they read.
struct Columns {
  std::int64_t count;
  std::int32_t* offset;  // (w) 3 * the left pixel, or the only one
  float* fraction;       // (w) how far towards the next pixel
  float* row;            // (W + 1, 3) and one float: two frame rows blended
  std::uint16_t* sums;   // (W, 3) and one: two frame rows and two columns added
};

Columns cut(Scratch& scratch, std::int64_t width, std::int64_t out_width) {
  return {out_width, scratch.take<std::int32_t>(out_width),
          scratch.take<float>(out_width), scratch.take<float>(3 * width + 4),
          scratch.take<std::uint16_t>(3 * width + 1)};
}

// What every 64-bit processor has: four floats at once. Left to itself, a compiler
// vectorises the loop around the channels of a pixel, and loses.
using Four = float __attribute__((vector_size(16)));

inline Four load_four(const float* from) {
  Four four;
  std::memcpy(&four, from, sizeof four);
  return four;
}

inline void store_four(float* to, Four four) { std::memcpy(to, &four, sizeof four); }

// Where one channel of the frame goes.
struct Plane {
  float* out;
  float multiply;
  float add;

  Plane at(std::int64_t pixel) const { return {out + pixel, multiply, add}; }
};

struct Planes {
  Plane first;
  Plane second;
  Plane third;

  Planes at(std::int64_t pixel) const {
    return {first.at(pixel), second.at(pixel), third.at(pixel)};
  }
};

// Reads four bytes a pixel, one too many, as long as another pixel follows in the row;
// the last pixel of a frame may be the end of the memory.
inline void nearest_row(const std::uint8_t* __restrict__ row, std::int64_t width,
                        const Columns& columns, const Ahead& ahead,
                        const Planes& planes) {
  std::uint32_t words[kBlock];
  for (std::int64_t x0 = 0; x0 < columns.count; x0 += kBlock) {
    const std::int64_t count = std::min(kBlock, columns.count - x0);
    ahead.ask(x0, x0 + count, columns.count);
    const std::int32_t* __restrict__ offset = columns.offset + x0;
    std::int64_t x = 0;
    for (; x < count && offset[x] < 3 * (width - 1); ++x) {
      std::memcpy(&words[x], row + offset[x], 4);
    }
    for (; x < count; ++x) {
      words[x] = 0;
      std::memcpy(&words[x], row + offset[x], 3);
    }
    const auto [first, second, third] = planes.at(x0);
    for (x = 0; x < count; ++x) {
      const auto word = static_cast<std::int32_t>(words[x]);
      first.out[x] = static_cast<float>(word & 255) * first.multiply + first.add;
      second.out[x] =
          static_cast<float>(word >> 8 & 255) * second.multiply + second.add;
      third.out[x] = static_cast<float>(word >> 16 & 255) * third.multiply + third.add;
    }
  }
}

struct Rows {
  const std::uint8_t* above;
  const std::uint8_t* below;
  float fraction;
};

// One pixel and a channel follow the row: the right edge reads them with weight 0.
inline void blend_rows(const Rows& rows, float* __restrict__ row, std::int64_t width) {
  const std::uint8_t* __restrict__ above = rows.above;
  const std::uint8_t* __restrict__ below = rows.below;
  const float fraction = rows.fraction;
  for (std::int64_t i = 0; i < 3 * width; ++i) {
    const std::int32_t a = above[i];
    const std::int32_t b = below[i];
    row[i] = static_cast<float>(a) + fraction * static_cast<float>(b - a);
  }
  std::fill_n(row + 3 * width, 4, 0.0f);
}

// Four floats a pixel: the fourth is the next pixel's first, and is dropped.
inline void blend_columns(const Columns& columns, const Ahead& above,
                          const Ahead& below, const Planes& planes) {
  alignas(64) float pixels[4 * kBlock];
  const float* __restrict__ row = columns.row;
  for (std::int64_t x0 = 0; x0 < columns.count; x0 += kBlock) {
    const std::int64_t count = std::min(kBlock, columns.count - x0);
    above.ask(x0, x0 + count, columns.count);
    below.ask(x0, x0 + count, columns.count);
    const std::int32_t* __restrict__ offset = columns.offset + x0;
    const float* __restrict__ fraction = columns.fraction + x0;
    for (std::int64_t x = 0; x < count; ++x) {
      const Four pixel = load_four(row + offset[x]);
      const Four next = load_four(row + offset[x] + 3);
      store_four(pixels + 4 * x, pixel + fraction[x] * (next - pixel));
    }
    const auto [first, second, third] = planes.at(x0);
    for (std::int64_t x = 0; x < count; ++x) {
      first.out[x] = pixels[4 * x] * first.multiply + first.add;
      second.out[x] = pixels[4 * x + 1] * second.multiply + second.add;
      third.out[x] = pixels[4 * x + 2] * third.multiply + third.add;
    }
  }
}

// At half the size every blend is the mean of four pixels: whole numbers do.
inline void halve_rows(const Rows& rows, std::int64_t width, const Columns& columns,
                       const Ahead& above_next, const Ahead& below_next,
                       const Planes& planes) {
  const std::uint8_t* __restrict__ above = rows.above;
  const std::uint8_t* __restrict__ below = rows.below;
  std::uint16_t* __restrict__ sums = columns.sums;
  for (std::int64_t i = 0; i < 3 * width - 3; ++i) {
    sums[i] =
        static_cast<std::uint16_t>(above[i] + below[i] + above[i + 3] + below[i + 3]);
  }
  sums[3 * width - 3] = 0;  // read with the last pixel, and dropped
  std::uint16_t quads[4 * kBlock];
  for (std::int64_t x0 = 0; x0 < columns.count; x0 += kBlock) {
    const std::int64_t count = std::min(kBlock, columns.count - x0);
    above_next.ask(x0, x0 + count, columns.count);
    below_next.ask(x0, x0 + count, columns.count);
    for (std::int64_t x = 0; x < count; ++x) {
      std::memcpy(quads + 4 * x, sums + 6 * (x0 + x), 8);
    }
    const auto [first, second, third] = planes.at(x0);
    for (std::int64_t x = 0; x < count; ++x) {
      const std::int32_t a = quads[4 * x];
      const std::int32_t b = quads[4 * x + 1];
      const std::int32_t c = quads[4 * x + 2];
      first.out[x] = 0.25f * static_cast<float>(a) * first.multiply + first.add;
      second.out[x] = 0.25f * static_cast<float>(b) * second.multiply + second.add;
      third.out[x] = 0.25f * static_cast<float>(c) * third.multiply + third.add;
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
  const Columns columns = cut(block, width, out_width);
  const auto plane = [&](int p) {
    return Plane{out + p * out_height * out_width, multiply[p], add[p]};
  };
  const Planes planes{plane(swap ? 2 : 0), plane(1), plane(swap ? 0 : 2)};

  if (height == out_height && width == out_width) filter = Filter::kNearest;
  if (filter != Filter::kBilinear) {
    for (std::int64_t x = 0; x < out_width; ++x) {
      columns.offset[x] =
          static_cast<std::int32_t>(3 * nearest_tap(x, width, out_width, filter));
    }
    const auto row_at = [&](std::int64_t y) {
      y = std::min(y, out_height - 1);
      return frame + nearest_tap(y, height, out_height, filter) * row_bytes;
    };
    run_widest([&] {
      for (std::int64_t y = 0; y < out_height; ++y) {
        nearest_row(row_at(y), width, columns, {row_at(y + 1), 3 * width},
                    planes.at(y * out_width));
      }
    });
    return;
  }

  for (std::int64_t x = 0; x < out_width; ++x) {
    const Tap tap = linear_tap(x, width, out_width);
    columns.offset[x] = static_cast<std::int32_t>(3 * tap.index);
    columns.fraction[x] = static_cast<float>(tap.fraction);
  }
  const auto rows_at = [&](std::int64_t y) {
    const Tap tap = linear_tap(std::min(y, out_height - 1), height, out_height);
    const std::uint8_t* above = frame + tap.index * row_bytes;
    const std::uint8_t* below = tap.fraction > 0 ? above + row_bytes : above;
    return Rows{above, below, static_cast<float>(tap.fraction)};
  };
  const bool half = height == 2 * out_height && width == 2 * out_width;
  run_widest([&] {
    for (std::int64_t y = 0; y < out_height; ++y) {
      const Rows next = rows_at(y + 1);
      if (half) {
        halve_rows(rows_at(y), width, columns, {next.above, 3 * width},
                   {next.below, 3 * width}, planes.at(y * out_width));
        continue;
      }
      blend_rows(rows_at(y), columns.row, width);
      blend_columns(columns, {next.above, 3 * width}, {next.below, 3 * width},
                    planes.at(y * out_width));
    }
  });
}

}  // namespace fuseg
