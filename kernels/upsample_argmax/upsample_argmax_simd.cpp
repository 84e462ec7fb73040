#include "common/half.h"
#include "label/label_bands.h"
#include "upsample_argmax/upsample_argmax.h"

namespace fuseg::FUSEG_LEVEL {
namespace {

template <typename Score, typename Label>
void label(const UpsampleArgmax& job) {
  Scratch memory(job.scratch);
  BandWork works[kMostThreads];
  for (int part = 0; part < job.threads; ++part) {
    works[part] = cut_band_work(memory, job.rivals(), job.width, job.out_width);
  }
  const double step = static_cast<double>(job.rows.step) / job.rows.unit;
  const LabelJob<Label> labels{static_cast<int>(job.rivals()),
                               &job.row_taps,
                               &job.column_taps,
                               job.images,
                               static_cast<Label*>(job.labels),
                               job.confidence,
                               static_cast<float>(step)};
  const std::int64_t plane = job.height * job.width;
  const auto sources = [&](std::int64_t image, std::int64_t y) {
    const Score* row = static_cast<const Score*>(job.scores) +
                       image * job.classes * plane + y * job.width;
    return PlanesRow<Score>{row, plane, static_cast<int>(job.classes),
                            static_cast<int>(job.rivals() - job.classes)};
  };
  const bool finite_safe = label_images(labels, sources, works, job.threads);
  if (job.nan_samples != nullptr)
    *job.nan_samples = finite_safe ? 0 : count_nan_samples(job);
}

}  // namespace

void upsample_argmax_simd(const UpsampleArgmax& job) {
  if (job.out_width < kLanes || job.pitch != 0) {  // or a GPU's layout
    upsample_argmax_cpu(job);
  } else if (job.half) {
    job.wide() ? label<Half, std::uint16_t>(job) : label<Half, std::uint8_t>(job);
  } else {
    job.wide() ? label<float, std::uint16_t>(job) : label<float, std::uint8_t>(job);
  }
}

}  // namespace fuseg::FUSEG_LEVEL
