#include "pack_depth/pack_depth.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "common/scratch.h"
#include "common/widest.h"

namespace fuseg {
namespace {

constexpr std::int64_t kBlock = 256;

struct Reading {
  float multiply;
  float add;
  const float* invalid;
  int invalid_count;
  float fill;
};

// Every raw value of the three types is a float32 exactly.
template <typename T>
inline std::int64_t pack_row(const T* row, const std::int32_t* column,
                             const Reading& reading, float* __restrict__ out,
                             std::int64_t out_width) {
  T raw[kBlock];
  float value[kBlock];
  std::int32_t valid[kBlock];
  std::int64_t readings = 0;
  for (std::int64_t x0 = 0; x0 < out_width; x0 += kBlock) {
    const std::int64_t count = std::min(kBlock, out_width - x0);
    for (std::int64_t x = 0; x < count; ++x) raw[x] = row[column[x0 + x]];
    for (std::int64_t x = 0; x < count; ++x) {
      value[x] = static_cast<float>(raw[x]);
      valid[x] = std::fabs(value[x]) <= std::numeric_limits<float>::max();
    }
    for (int i = 0; i < reading.invalid_count; ++i) {
      const float invalid = reading.invalid[i];
      for (std::int64_t x = 0; x < count; ++x) valid[x] &= value[x] != invalid;
    }
    std::int32_t in_block = 0;
    for (std::int64_t x = 0; x < count; ++x) {
      const float scaled = value[x] * reading.multiply + reading.add;
      out[x0 + x] = valid[x] ? scaled : reading.fill;
      in_block += valid[x];
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
  const char* bytes = reinterpret_cast<const char*>(frame);
  std::int64_t readings = 0;
  run_widest([&] {
    for (std::int64_t y = 0; y < out_height; ++y) {
      const std::int64_t from = nearest_tap(y, height, out_height, filter);
      const T* row = reinterpret_cast<const T*>(bytes + from * row_bytes);
      readings += pack_row(row, column, reading, out + y * out_width, out_width);
    }
  });
  return readings;
}

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
