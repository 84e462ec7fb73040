#include <atomic>
#include <cstring>
#include <limits>

#include "common/half.h"
#include "common/threads.h"
#include "pack_depth/pack_depth.h"
#include "pack_depth/tap_pairs.h"

namespace fuseg {
namespace {

// A row of the picture wants a row of the frame, or, turned, a column.
struct PixelTaps {
  TapPair row;
  TapPair column;
};

inline PixelTaps taps_at(const PackDepth& job, const TapPairs& pairs, std::int64_t y,
                         std::int64_t x) {
  const TapPair down = pairs.rows[y], across = pairs.columns[x];
  return job.geometry.transposed() ? PixelTaps{across, down} : PixelTaps{down, across};
}

template <typename T>
inline float raw_at(const PackDepth& job, std::int64_t y, std::int64_t x) {
  const char* row = static_cast<const char*>(job.frame) + y * job.row_bytes;
  T raw;
  std::memcpy(&raw, row + x * static_cast<std::int64_t>(sizeof(T)), sizeof raw);
  return static_cast<float>(raw);
}

// NaN where there is no reading.
template <typename T>
inline float raw_of(const PackDepth& job, const PixelTaps& taps) {
  const TapPair &row = taps.row, &column = taps.column;
  if (job.filter != Filter::kBilinear) {
    const float raw = raw_at<T>(job, row.near, column.near);
    return is_reading(raw, job) ? raw : std::numeric_limits<float>::quiet_NaN();
  }
  const float tap[2][2] = {
      {raw_at<T>(job, row.near, column.near), raw_at<T>(job, row.near, column.far)},
      {raw_at<T>(job, row.far, column.near), raw_at<T>(job, row.far, column.far)}};
  return blend(tap, row, column, job);
}

inline void put(float value, float* out) { *out = value; }
inline void put(float value, Half* out) { *out = to_half(value); }
inline void put(float value, std::int8_t* out) { *out = depth_to_int8(value); }

template <typename T, typename U>
std::int64_t pack_rows(const PackDepth& job, const TapPairs& pairs, std::int64_t first,
                       std::int64_t end) {
  const Geometry& g = job.geometry;
  std::int64_t readings = 0;
  for (std::int64_t y = first; y < end; ++y) {
    const std::int64_t in_picture = y - g.picture_top;
    const bool beside = in_picture < 0 || in_picture >= g.picture_height;
    for (std::int64_t x = 0; x < g.out_width; ++x) {
      const std::int64_t across = x - g.picture_left;
      float value = job.fill;
      bool valid = false;
      if (!beside && across >= 0 && across < g.picture_width) {
        const float raw = raw_of<T>(job, taps_at(job, pairs, in_picture, across));
        valid = raw == raw;
        if (valid) value = normalised(raw, job);
      }
      const std::int64_t at = y * g.out_width + x;
      const std::int64_t to = job.planes.start[0] + at * job.planes.step;
      put(value, static_cast<U*>(job.out) + to);
      if (job.valid != nullptr) job.valid[at] = valid;
      readings += valid;
    }
  }
  return readings;
}

template <typename T>
std::int64_t pack_band(const PackDepth& job, const TapPairs& pairs, std::int64_t first,
                       std::int64_t end) {
  switch (job.out_type) {
    case PackDepth::Out::kFloat16:
      return pack_rows<T, Half>(job, pairs, first, end);
    case PackDepth::Out::kInt8:
      return pack_rows<T, std::int8_t>(job, pairs, first, end);
    default:
      return pack_rows<T, float>(job, pairs, first, end);
  }
}

template <typename T>
bool any_reading(const PackDepth& job, const TapPairs& pairs) {
  for (std::int64_t y = 0; y < job.geometry.picture_height; ++y) {
    for (std::int64_t x = 0; x < job.geometry.picture_width; ++x) {
      const float raw = raw_of<T>(job, taps_at(job, pairs, y, x));
      if (raw == raw) return true;
    }
  }
  return false;
}

}  // namespace

std::int64_t pack_depth_memory_bytes_cpu(const PackDepth& job) {
  Scratch measure(nullptr);
  tap_pairs_in(measure, job);
  return measure.bytes();
}

void pack_depth_prepare_cpu(const PackDepth& job) {
  Scratch memory(job.memory);
  write_tap_pairs(job, tap_pairs_in(memory, job));
}

void pack_depth_cpu(const PackDepth& job) {
  Scratch memory(job.memory);
  const TapPairs pairs = tap_pairs_in(memory, job);
  std::atomic<std::int64_t> readings{0};
  in_bands(job.geometry.out_height, job.threads, 1,
           [&](int, std::int64_t first, std::int64_t end) {
             switch (job.in) {
               case PackDepth::In::kUint8:
                 readings += pack_band<std::uint8_t>(job, pairs, first, end);
                 break;
               case PackDepth::In::kUint16:
                 readings += pack_band<std::uint16_t>(job, pairs, first, end);
                 break;
               case PackDepth::In::kFloat32:
                 readings += pack_band<float>(job, pairs, first, end);
             }
           });
  *job.readings = readings;
}

bool has_reading_cpu(const PackDepth& job) {
  Scratch memory(job.memory);
  const TapPairs pairs = tap_pairs_in(memory, job);
  switch (job.in) {
    case PackDepth::In::kUint8:
      return any_reading<std::uint8_t>(job, pairs);
    case PackDepth::In::kUint16:
      return any_reading<std::uint16_t>(job, pairs);
    default:
      return any_reading<float>(job, pairs);
  }
}

}  // namespace fuseg
