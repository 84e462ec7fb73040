#include <algorithm>
#include <cmath>
#include <cstdint>

#include "common/half.h"
#include "common/resample.h"
#include "common/threads.h"
#include "fuse_argmax/fuse_argmax.h"
#include "fuse_argmax/tables.h"

// The definition, pixel by pixel and class by class.
namespace fuseg {
namespace {

using namespace fuse;

constexpr float kInfinity = std::numeric_limits<float>::infinity();

void lay_axis(const Axis& axis, std::int64_t samples, std::int64_t count,
              std::int64_t beyond, bool align_corners) {
  for (std::int64_t i = 0; i < count + beyond; ++i) {
    const std::int64_t at = std::min(i, count - 1);
    const Tap tap = linear_tap(at, samples, count, align_corners);
    axis.first[i] = static_cast<std::int32_t>(tap.index);
    axis.weight0[i] = static_cast<float>(1.0 - tap.fraction);
    axis.weight1[i] = static_cast<float>(tap.fraction);
  }
}

// One map around one pixel.
struct Reading {
  const ScoreMap* map;
  const float* weights;
  std::int64_t sample;  // the upper left one
  float left, right, upper, lower;

  float at(std::int64_t index) const {
    return map->half ? to_float(static_cast<const Half*>(map->scores)[index])
                     : static_cast<const float*>(map->scores)[index];
  }
  float row(std::int64_t index) const {
    return between(at(index), right == 0.0f ? 0.0f : at(index + 1), left, right);
  }
  float score(int c) const {
    const std::int64_t index = c * map->height * map->width + sample;
    return between(row(index), lower == 0.0f ? 0.0f : row(index + map->width), upper,
                   lower);
  }
  bool counts() const {
    if (map->valid == nullptr) return true;
    const std::uint8_t* valid = map->valid + sample;
    return valid[0] && (right == 0.0f || valid[1]) &&
           (lower == 0.0f || valid[map->width]) &&
           (right == 0.0f || lower == 0.0f || valid[map->width + 1]);
  }
};

// The maps that count at one pixel.
struct Pixel {
  Fusing how;
  Reading readings[kMostMaps];
  int indices[kMostMaps];
  int count;

  float own(int k, int c) const {
    return own_score(how, readings[k].weights[c], readings[k].score(c));
  }
  float score(int c) const {
    float sum = nothing_said(how);
    for (int k = 0; k < count; ++k) {
      if (readings[k].weights[c] != 0.0f) sum = fused(how, sum, own(k, c));
    }
    return sum;
  }
  std::uint8_t source(int c) const {
    float best = -kInfinity;
    std::uint8_t source = kNoMap;
    for (int k = 0; k < count; ++k) {
      if (readings[k].weights[c] == 0.0f || !(own(k, c) > best)) continue;
      best = own(k, c);
      source = static_cast<std::uint8_t>(indices[k]);
    }
    return source;
  }
};

Pixel look(const FuseArgmax& job, const Tables& tables, std::int64_t y,
           std::int64_t x) {
  Pixel pixel{job.how, {}, {}, 0};
  for (int m = 0; m < job.count; ++m) {
    const Axis& rows = tables.rows[m];
    const Axis& columns = tables.columns[m];
    const ScoreMap& map = job.maps[m];
    const Reading reading{&map,
                          job.weights + m * job.classes,
                          rows.first[y] * map.width + columns.first[x],
                          columns.weight0[x],
                          columns.weight1[x],
                          rows.weight0[y],
                          rows.weight1[y]};
    if (!reading.counts()) continue;
    pixel.readings[pixel.count] = reading;
    pixel.indices[pixel.count++] = m;
  }
  return pixel;
}

void put_label(const FuseArgmax& job, std::int64_t at, int label) {
  if (job.wide) {
    static_cast<std::uint16_t*>(job.labels)[at] = static_cast<std::uint16_t>(label);
  } else {
    static_cast<std::uint8_t*>(job.labels)[at] = static_cast<std::uint8_t>(label);
  }
}

void fuse_pixel(const FuseArgmax& job, const Pixel& pixel, std::int64_t at) {
  float best = -kInfinity;
  int label = 0;
  for (int c = 0; pixel.count > 0 && c < job.classes; ++c) {
    const float score = pixel.score(c);
    if (score > best) {  // false for NaN, and for a tie
      best = score;
      label = c;
    }
  }
  put_label(job, at, pixel.count > 0 ? label : job.ignore);
  if (job.source != nullptr) {
    job.source[at] = best > -kInfinity ? pixel.source(label) : kNoMap;
  }
  if (job.confidence == nullptr) return;
  float sum = 0.0f;
  for (int c = 0; pixel.count > 0 && c < job.classes; ++c) {
    sum += std::exp(pixel.score(c) - best);
  }
  job.confidence[at] = pixel.count > 0 ? 1.0f / sum : 0.0f;
}

}  // namespace

std::int64_t fuse_argmax_tables_bytes(const FuseArgmax& job) {
  Scratch measure(nullptr);
  cut_tables(job, measure);
  return measure.bytes();
}

std::int64_t fuse_argmax_scratch_bytes(const FuseArgmax&) { return 64; }

void fuse_argmax_lay_tables(const FuseArgmax& job) {
  const Tables tables = tables_of(job);
  for (int m = 0; m < job.count; ++m) {
    const ScoreMap& map = job.maps[m];
    lay_axis(tables.rows[m], map.height, job.out_height, 0, job.align_corners);
    lay_axis(tables.columns[m], map.width, job.out_width, kBeyond, job.align_corners);
  }
}

void fuse_argmax_cpu(const FuseArgmax& job) {
  const Tables tables = tables_of(job);
  in_bands(job.out_height, job.threads, 1,
           [&](int, std::int64_t first, std::int64_t end) {
             for (std::int64_t y = first; y < end; ++y) {
               for (std::int64_t x = 0; x < job.out_width; ++x) {
                 fuse_pixel(job, look(job, tables, y, x), y * job.out_width + x);
               }
             }
           });
}

}  // namespace fuseg
