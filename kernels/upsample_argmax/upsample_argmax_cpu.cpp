#include <algorithm>
#include <cmath>
#include <limits>

#include "common/half.h"
#include "common/threads.h"
#include "label/packed_row.h"
#include "upsample_argmax/upsample_argmax.h"

// The definition, one output row at a time. In double, the blend of a score that leads
// by the least there is leads still.
namespace fuseg {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

double blend(double first, double second, float fraction) {
  return (1.0 - fraction) * first + fraction * second;
}

// One class of one image, at the positions of one output row.
template <typename Score>
struct Plane {
  const Score* upper;  // null for the added class
  const Score* lower;
  float fraction;
  const AxisTaps& columns;
  std::int64_t step;

  double at(std::int64_t x) const {
    if (upper == nullptr) return 0.0;
    const double above = along(upper, x);
    return fraction == 0.0f ? above : blend(above, along(lower, x), fraction);
  }

 private:
  double along(const Score* samples, std::int64_t x) const {
    const double first = to_float(samples[columns.first[x] * step]);
    if (columns.fraction[x] == 0.0f) return first;
    return blend(first, to_float(samples[columns.second[x] * step]),
                 columns.fraction[x]);
  }
};

template <typename Score>
Plane<Score> plane(const UpsampleArgmax& job, std::int64_t image, std::int64_t rival,
                   std::int64_t y) {
  const AxisTaps& rows = job.row_taps;
  const std::int64_t c = rival - (job.rivals() - job.classes);
  if (c < 0) return {nullptr, nullptr, 0.0f, job.column_taps, 0};
  const Score* first = static_cast<const Score*>(job.scores) +
                       image * job.classes * job.height * job.width +
                       c * job.class_step();
  const std::int64_t step = job.sample_step();
  return {first + rows.first[y] * job.width * step,
          first + rows.second[y] * job.width * step, rows.fraction[y], job.column_taps,
          step};
}

struct RowWork {
  double* best;  // (W)
  double* sum;   // (W)
};

RowWork cut_row(Scratch& scratch, const UpsampleArgmax& job) {
  return {scratch.take<double>(job.out_width), scratch.take<double>(job.out_width)};
}

template <typename Score, typename Label>
void label_row(const UpsampleArgmax& job, std::int64_t image, std::int64_t y,
               const RowWork& work) {
  const std::int64_t at = (image * job.out_height + y) * job.out_width;
  Label* labels = static_cast<Label*>(job.labels) + at;
  std::fill_n(work.best, job.out_width, -kInfinity);
  std::fill_n(labels, job.out_width, Label{0});
  for (std::int64_t c = 0; c < job.rivals(); ++c) {
    const Plane<Score> scores = plane<Score>(job, image, c, y);
    for (std::int64_t x = 0; x < job.out_width; ++x) {
      const double score = scores.at(x);
      if (score > work.best[x]) {  // false for NaN, and for a tie
        work.best[x] = score;
        labels[x] = static_cast<Label>(c);
      }
    }
  }
  if (job.confidence == nullptr) return;
  std::fill_n(work.sum, job.out_width, 0.0);
  for (std::int64_t c = 0; c < job.rivals(); ++c) {
    const Plane<Score> scores = plane<Score>(job, image, c, y);
    for (std::int64_t x = 0; x < job.out_width; ++x) {
      work.sum[x] += std::exp(scores.at(x) - work.best[x]);
    }
  }
  for (std::int64_t x = 0; x < job.out_width; ++x) {
    job.confidence[at + x] = static_cast<float>(1.0 / work.sum[x]);
  }
}

template <typename Score, typename Label>
void label_images(const UpsampleArgmax& job) {
  Scratch memory(job.scratch);
  RowWork works[kMostThreads];
  for (int part = 0; part < job.threads; ++part) works[part] = cut_row(memory, job);
  const auto band = [&](int part, std::int64_t first, std::int64_t end) {
    for (std::int64_t row = first; row < end; ++row) {
      label_row<Score, Label>(job, row / job.out_height, row % job.out_height,
                              works[part]);
    }
  };
  in_bands(job.images * job.out_height, job.threads, 1, band);
}

// The first sample of an axis that is read, and the one behind the last.
struct Span {
  std::int64_t first;
  std::int64_t end;
};

Span span_of(const AxisTaps& taps) {
  return {taps.first[0], taps.second[taps.count - 1] + std::int64_t{1}};
}

template <typename Score>
bool is_nan_sample(const UpsampleArgmax& job, const Score* sample) {
  bool lost = job.classes == job.rivals();  // until one is above -infinity
  for (std::int64_t c = 0; c < job.classes; ++c) {
    const float score = to_float(sample[c * job.class_step()]);
    if (!(score < std::numeric_limits<float>::infinity())) return true;
    lost = lost && score == -std::numeric_limits<float>::infinity();
  }
  return lost;
}

template <typename Score>
std::int32_t count_in(const UpsampleArgmax& job) {
  const Span rows = span_of(job.row_taps), columns = span_of(job.column_taps);
  std::int32_t count = 0;
  for (std::int64_t image = 0; image < job.images; ++image) {
    const Score* scores = static_cast<const Score*>(job.scores) +
                          image * job.classes * job.height * job.width;
    for (std::int64_t y = rows.first; y < rows.end; ++y) {
      for (std::int64_t x = columns.first; x < columns.end; ++x) {
        count += is_nan_sample(job, scores + (y * job.width + x) * job.sample_step());
      }
    }
  }
  return count;
}

}  // namespace

std::int32_t count_nan_samples(const UpsampleArgmax& job) {
  return job.half ? count_in<Half>(job) : count_in<float>(job);
}

// Enough for every level.
std::int64_t upsample_argmax_scratch_bytes(const UpsampleArgmax& job) {
  Scratch rows(nullptr);
  Scratch bands(nullptr);
  for (int part = 0; part < job.threads; ++part) {
    cut_row(rows, job);
    cut_band_work(bands, job.rivals(), job.width, job.out_width);
  }
  return std::max(rows.bytes(), bands.bytes());
}

void upsample_argmax_cpu(const UpsampleArgmax& job) {
  if (job.nan_samples != nullptr) *job.nan_samples = count_nan_samples(job);
  if (job.half) {
    job.wide() ? label_images<Half, std::uint16_t>(job)
               : label_images<Half, std::uint8_t>(job);
  } else {
    job.wide() ? label_images<float, std::uint16_t>(job)
               : label_images<float, std::uint8_t>(job);
  }
}

}  // namespace fuseg
