#include <algorithm>

#include "common/threads.h"
#include "confusion_matrix/confusion_matrix.h"

namespace fuseg {
namespace {

template <typename Label>
void count(const ConfusionMatrix& job) {
  const auto* truth = static_cast<const Label*>(job.truth);
  const auto* prediction = static_cast<const Label*>(job.prediction);
  const ConfusionCells cells(job.classes, job.ignore);
  in_bands(job.pixels, job.threads, 1,
           [&](int part, std::int64_t first, std::int64_t end) {
             std::uint32_t* table =
                 job.scratch + part * confusion_matrix_scratch(job.classes, 1);
             for (std::int64_t i = first; i < end; ++i) {
               ++table[cells.of(truth[i], prediction[i])];
             }
           });
}

template <typename Label>
Outside outside(const ConfusionMatrix& job) {
  const auto* truth = static_cast<const Label*>(job.truth);
  const auto* prediction = static_cast<const Label*>(job.prediction);
  Outside largest;
  for (std::int64_t i = 0; i < job.pixels; ++i) {
    if (truth[i] == job.ignore) continue;
    if (truth[i] >= job.classes) largest.truth = std::max<int>(largest.truth, truth[i]);
    if (prediction[i] >= job.classes) {
      largest.prediction = std::max<int>(largest.prediction, prediction[i]);
    }
  }
  return largest;
}

}  // namespace

Outside settle(const ConfusionMatrix& job) {
  const ConfusionCells cells(job.classes, job.ignore);
  const std::int64_t tables =
      std::int64_t{confusion_matrix_tables(job.classes)} * job.threads;
  std::uint32_t* sums = job.scratch;  // of all tables, in the first of them
  for (std::int64_t t = 1; t < tables; ++t) {
    const std::uint32_t* table = job.scratch + t * cells.size();
    for (std::int64_t i = 0; i < cells.size(); ++i) sums[i] += table[i];
  }
  const std::int64_t classes = job.classes, row = cells.row();
  bool any_outside = false;
  for (std::int64_t i = 0; i < row; ++i) {
    any_outside |= sums[classes * row + i] != 0;
    any_outside |= sums[i * row + classes] != 0;
  }
  if (any_outside) {
    return job.label_bytes == 1 ? outside<std::uint8_t>(job)
                                : outside<std::uint16_t>(job);
  }
  for (std::int64_t y = 0; y < classes; ++y) {
    for (std::int64_t x = 0; x < classes; ++x) {
      job.counts[y * classes + x] += sums[y * row + x];
    }
  }
  return {};
}

Outside confusion_matrix_cpu(const ConfusionMatrix& job) {
  std::fill_n(job.scratch, confusion_matrix_scratch(job.classes, job.threads), 0u);
  job.label_bytes == 1 ? count<std::uint8_t>(job) : count<std::uint16_t>(job);
  return settle(job);
}

}  // namespace fuseg
