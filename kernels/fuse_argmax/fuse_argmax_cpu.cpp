#include <algorithm>
#include <cmath>
#include <cstdint>

#include "common/half.h"
#include "common/threads.h"
#include "fuse_argmax/fuse_argmax.h"
#include "fuse_argmax/fuse_work.h"

// The definition, pixel by pixel and class by class.
namespace fuseg {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

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
  FusionMode mode;
  Reading readings[kMostMaps];
  int indices[kMostMaps];
  int count;

  float own(int k, int c) const {
    return weighted_score(mode, readings[k].weights[c], readings[k].score(c));
  }
  float score(int c) const {
    float sum = initial_score(mode);
    for (int k = 0; k < count; ++k) {
      if (readings[k].weights[c] != 0.0f) sum = fused(mode, sum, own(k, c));
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

Pixel pixel_at(const FuseArgmax& job, std::int64_t y, std::int64_t x) {
  Pixel pixel{job.mode, {}, {}, 0};
  for (int m = 0; m < job.count; ++m) {
    const ScoreMap& map = job.maps[m];
    const Reading reading{&map,
                          job.weights + m * job.classes,
                          map.rows.first[y] * map.width + map.columns.first[x],
                          map.column_weight[x],
                          map.columns.fraction[x],
                          map.row_weight[y],
                          map.rows.fraction[y]};
    if (!reading.counts()) continue;
    pixel.readings[pixel.count] = reading;
    pixel.indices[pixel.count++] = m;
  }
  return pixel;
}

void put_label(const FuseArgmax& job, std::int64_t at, int label) {
  if (job.wide()) {
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

FuseWork cut_fuse_work(Scratch& scratch, const FuseArgmax& job) {
  FuseWork work{};
  for (int m = 0; m < job.count; ++m) {
    work.maps[m] =
        cut_band_work(scratch, job.classes, job.maps[m].width, job.out_width);
  }
  work.candidates = scratch.take<std::int32_t>(job.classes);
  work.mixed = scratch.take<std::int32_t>(job.out_width);
  return work;
}

std::int64_t fuse_argmax_scratch_bytes(const FuseArgmax& job) {
  Scratch measure(nullptr);
  for (int m = 0; m < job.count; ++m) cut_missing(measure, job.maps[m]);
  for (int part = 0; part < job.threads; ++part) cut_fuse_work(measure, job);
  return measure.bytes();
}

void fuse_argmax_cpu(const FuseArgmax& job) {
  in_bands(job.out_height, job.threads, 1,
           [&](int, std::int64_t first, std::int64_t end) {
             for (std::int64_t y = first; y < end; ++y) {
               for (std::int64_t x = 0; x < job.out_width; ++x) {
                 fuse_pixel(job, pixel_at(job, y, x), y * job.out_width + x);
               }
             }
           });
}

}  // namespace fuseg
