#include <algorithm>
#include <cmath>
#include <limits>
#include <type_traits>

#include "common/ahead.h"
#include "common/scratch.h"
#include "common/widest.h"
#include "pack_depth/pack_depth.h"

namespace fuseg {
namespace {

constexpr std::int64_t kBlock = 256;
constexpr float kNone = std::numeric_limits<float>::quiet_NaN();

struct Reading {
  float multiply;
  float add;
  const float* invalid;
  int invalid_count;
  float fill;
};

// Every raw value of the three types is a float32 exactly. With a `step` the columns
// are that far apart, and no table is read.
template <int step, typename T>
inline void take_columns(const T* __restrict__ row, const std::int32_t* column,
                         std::int64_t count, float* __restrict__ value) {
  if constexpr (step > 0) row += column[0];
  for (std::int64_t x = 0; x < count; ++x) {
    value[x] = static_cast<float>(step > 0 ? row[x * step] : row[column[x]]);
  }
}

template <int step, typename T>
inline std::int64_t pack_row(const T* row, const std::int32_t* column,
                             const Reading reading, const Ahead& ahead,
                             float* __restrict__ out, std::int64_t out_width) {
  float value[kBlock];
  const float first_invalid = reading.invalid_count > 0 ? reading.invalid[0] : kNone;
  std::int64_t readings = 0;
  for (std::int64_t x0 = 0; x0 < out_width; x0 += kBlock) {
    const std::int64_t count = std::min(kBlock, out_width - x0);
    ahead.ask(x0, x0 + count, out_width);
    take_columns<step>(row, column + x0, count, value);
    for (int i = 1; i < reading.invalid_count; ++i) {
      const float invalid = reading.invalid[i];
      for (std::int64_t x = 0; x < count; ++x) {
        const float kept = value[x] == invalid ? kNone : value[x];
        value[x] = kept;
      }
    }
    std::int32_t in_block = 0;
    for (std::int64_t x = 0; x < count; ++x) {
      const float raw = value[x];
      const std::int32_t valid = (std::fabs(raw) <= std::numeric_limits<float>::max()) &
                                 (raw != first_invalid);
      const float scaled = raw * reading.multiply + reading.add;
      out[x0 + x] = valid ? scaled : reading.fill;
      in_block += valid;
    }
    readings += in_block;
  }
  return readings;
}

}  // namespace

std::int64_t pack_depth_scratch_bytes(std::int64_t out_width) {
  Scratch measure(nullptr);
  measure.take<std::int32_t>(out_width);
  return measure.bytes();
}

template <typename T>
std::int64_t pack_depth_cpu(const T* frame, std::int64_t height, std::int64_t width,
                            std::ptrdiff_t row_bytes, float* out,
                            std::int64_t out_height, std::int64_t out_width,
                            float multiply, float add, const float* invalid,
                            int invalid_count, float fill, Filter filter,
                            void* scratch) {
  std::int32_t* column = Scratch(scratch).take<std::int32_t>(out_width);
  for (std::int64_t x = 0; x < out_width; ++x) {
    column[x] = static_cast<std::int32_t>(nearest_tap(x, width, out_width, filter));
  }
  const Reading reading{multiply, add, invalid, invalid_count, fill};
  const auto row_at = [&](std::int64_t y) {
    y = std::min(y, out_height - 1);
    const std::int64_t from = nearest_tap(y, height, out_height, filter);
    return reinterpret_cast<const T*>(reinterpret_cast<const char*>(frame) +
                                      from * row_bytes);
  };
  const std::int64_t used_bytes = width * static_cast<std::int64_t>(sizeof(T));
  const auto pack_rows = [&](auto step) {
    std::int64_t readings = 0;
    for (std::int64_t y = 0; y < out_height; ++y) {
      readings +=
          pack_row<step>(row_at(y), column, reading, {row_at(y + 1), used_bytes},
                         out + y * out_width, out_width);
    }
    return readings;
  };
  std::int64_t readings = 0;
  run_widest([&] {
    switch (width % out_width == 0 ? width / out_width : 0) {
      case 1:
        readings = pack_rows(std::integral_constant<int, 1>());
        break;
      case 2:
        readings = pack_rows(std::integral_constant<int, 2>());
        break;
      case 3:
        readings = pack_rows(std::integral_constant<int, 3>());
        break;
      default:
        readings = pack_rows(std::integral_constant<int, 0>());
    }
  });
  return readings;
}

template <typename T>
bool has_reading_cpu(const T* frame, std::int64_t height, std::int64_t width,
                     std::ptrdiff_t row_bytes, std::int64_t out_height,
                     std::int64_t out_width, const float* invalid, int invalid_count,
                     Filter filter) {
  for (std::int64_t y = 0; y < out_height; ++y) {
    const std::int64_t from = nearest_tap(y, height, out_height, filter);
    const T* row = reinterpret_cast<const T*>(reinterpret_cast<const char*>(frame) +
                                              from * row_bytes);
    for (std::int64_t x = 0; x < out_width; ++x) {
      const float raw =
          static_cast<float>(row[nearest_tap(x, width, out_width, filter)]);
      const float* end = invalid + invalid_count;
      if (std::isfinite(raw) && std::find(invalid, end, raw) == end) return true;
    }
  }
  return false;
}

template bool has_reading_cpu(const std::uint8_t*, std::int64_t, std::int64_t,
                              std::ptrdiff_t, std::int64_t, std::int64_t, const float*,
                              int, Filter);
template bool has_reading_cpu(const std::uint16_t*, std::int64_t, std::int64_t,
                              std::ptrdiff_t, std::int64_t, std::int64_t, const float*,
                              int, Filter);
template bool has_reading_cpu(const float*, std::int64_t, std::int64_t, std::ptrdiff_t,
                              std::int64_t, std::int64_t, const float*, int, Filter);

template std::int64_t pack_depth_cpu(const std::uint8_t*, std::int64_t, std::int64_t,
                                     std::ptrdiff_t, float*, std::int64_t, std::int64_t,
                                     float, float, const float*, int, float, Filter,
                                     void*);
template std::int64_t pack_depth_cpu(const std::uint16_t*, std::int64_t, std::int64_t,
                                     std::ptrdiff_t, float*, std::int64_t, std::int64_t,
                                     float, float, const float*, int, float, Filter,
                                     void*);
template std::int64_t pack_depth_cpu(const float*, std::int64_t, std::int64_t,
                                     std::ptrdiff_t, float*, std::int64_t, std::int64_t,
                                     float, float, const float*, int, float, Filter,
                                     void*);

}  // namespace fuseg
