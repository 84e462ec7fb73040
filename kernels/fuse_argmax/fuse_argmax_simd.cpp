#include <cstdint>
#include <cstring>

#include "common/scalar.h"
#include "common/threads.h"
#include "fuse_argmax/fuse_argmax.h"
#include "fuse_argmax/fuse_blocks.h"
#include "fuse_argmax/fuse_sources.h"
#include "fuse_argmax/fuse_traits.h"
#include "fuse_argmax/fuse_work.h"
#include "fuse_argmax/map_rows.h"
#include "label/label_bands.h"

// A band is the output rows between the same two rows of samples of every map. Its
// pixels are worked on in blocks, a vector of columns wide. Where one class wins at all
// samples of all maps around a block, the block is filled. Elsewhere the classes that
// can win are listed, blended, combined and compared.
//
// Maps on one grid whose scores are added need less: blending is linear, so the sum of
// the blended scores is the blend of the summed samples. The rows of samples are summed
// as they are packed, and the rest is upsample_argmax.
namespace fuseg::FUSEG_LEVEL {
namespace {

using namespace fusing;

template <Arithmetic kArithmetic, typename Label>
void compare(MapBlocks& blocks, const BlockPixels& pixels, const BandTraits& traits,
             const std::int32_t* list, int listed) {
  const FuseArgmax& job = blocks.job();
  Label* labels = static_cast<Label*>(job.labels);
  if (!traits.finite_safe || !blocks.complete) {
    compare_checked<kArithmetic>(blocks, pixels, list, listed, job.ignore, labels);
    return;
  }
  if (kArithmetic == Arithmetic::kLogSum && traits.products) {
    pixels.in_tiles(CompareFused<Arithmetic::kProduct, Label>{blocks, pixels, list,
                                                              listed, labels});
    return;
  }
  pixels.in_tiles(
      CompareFused<kArithmetic, Label>{blocks, pixels, list, listed, labels});
}

template <Arithmetic kArithmetic, typename Label>
void label_block(MapBlocks& blocks, const BlockPixels& pixels, const JobTraits& traits,
                 const BandTraits& band, FuseWork& work) {
  const FuseArgmax& job = blocks.job();
  if (traits.shortcuts && band.finite_safe && blocks.near) {
    const SampleWinners won(blocks);
    if (won.count == 1 && !won.too_many) {
      fill(blocks, pixels, won.labels[0], job.ignore, static_cast<Label*>(job.labels));
      return;
    }
    if (!won.too_many) {
      const int listed = list_candidates<kArithmetic == Arithmetic::kLogSum>(
          blocks, won, job.classes, work.candidates);
      compare<kArithmetic, Label>(blocks, pixels, band, work.candidates, listed);
      return;
    }
  }
  compare<kArithmetic, Label>(blocks, pixels, band, nullptr, job.classes);
}

template <Arithmetic kArithmetic>
void softmax_max_block(MapBlocks& blocks, const BlockPixels& pixels,
                       const BandTraits& traits) {
  const FuseArgmax& job = blocks.job();
  if (!traits.finite_safe || !blocks.complete) {
    softmax_max_checked<kArithmetic>(blocks, pixels, job.classes, job.confidence);
  } else if (kArithmetic == Arithmetic::kLogSum && traits.products) {
    pixels.in_tiles(FusedConfidence<Arithmetic::kProduct>{blocks, pixels, job.classes,
                                                          job.confidence});
  } else {
    pixels.in_tiles(
        FusedConfidence<kArithmetic>{blocks, pixels, job.classes, job.confidence});
  }
}

// No map counts.
template <typename Label>
void write_no_map(const FuseArgmax& job, const BlockPixels& pixels) {
  const std::int64_t count = fuseg::min<std::int64_t>(kLanes, job.out_width);
  for (std::int64_t y = pixels.first; y < pixels.end; ++y) {
    const std::int64_t at = y * job.out_width + pixels.x;
    fuseg::fill_n(static_cast<Label*>(job.labels) + at, count,
                  static_cast<Label>(job.ignore));
    if (job.confidence != nullptr) fuseg::fill_n(job.confidence + at, count, 0.0f);
    if (job.source != nullptr) fuseg::fill_n(job.source + at, count, kNoMap);
  }
}

// The rows of samples of all maps, for one thread.
struct Walks {
  MapWalk at[kMostMaps];

  Walks(const FuseArgmax& job, FuseWork& work, const PresentMaps& present)
      : at{walk(job, work, present, 0), walk(job, work, present, 1),
           walk(job, work, present, 2), walk(job, work, present, 3)} {}

 private:
  static MapWalk walk(const FuseArgmax& job, FuseWork& work, const PresentMaps& present,
                      int i) {
    const int m = i < present.count ? present.maps[i] : 0;
    return {job, m, work.maps[m], present.missing[m].rows, present.missing[m].stride};
  }
};

// The output rows of one band.
template <FusionMode kMode, Arithmetic kArithmetic, typename Label>
struct FusedBand {
  const FuseArgmax& job;
  const MapBand* bands;
  int maps;
  JobTraits traits;
  BandTraits band;
  FuseWork& work;
  std::int64_t first;
  std::int64_t end;

  void label() const {
    std::int32_t* mixed = work.mixed;
    std::int64_t count = 0;
    each_block([&](const BlockPixels& pixels) {
      const bool asked = traits.shortcuts && band.finite_safe;
      const std::int32_t label =
          asked ? common_winner(bands, maps, pixels.x) : kNoClass;
      pixels.write(labels(), first, [&](Label* out) { store_labels(out, all(label)); });
      mixed[count] = static_cast<std::int32_t>(pixels.x);
      count += label == kNoClass;  // else the next one overwrites it
    });
    if (count * kLanes < job.out_width) copy_first_row();
    for (std::int64_t i = 0; i < count; ++i) {
      const BlockPixels pixels{job.out_width, mixed[i], first, end};
      MapBlocks blocks(bands, maps, pixels.x);
      if (blocks.count == 0) {
        write_no_map<Label>(job, pixels);
      } else {
        label_block<kArithmetic, Label>(blocks, pixels, traits, band, work);
      }
    }
  }

  void softmax_max() const {
    each_block([&](const BlockPixels& pixels) {
      MapBlocks blocks(bands, maps, pixels.x);
      if (blocks.count > 0) softmax_max_block<kArithmetic>(blocks, pixels, band);
    });
  }

  void write_sources() const {
    each_block([&](const BlockPixels& pixels) {
      MapBlocks blocks(bands, maps, pixels.x);
      if (blocks.count > 0)
        write_source<kMode>(blocks, pixels, labels(), band.finite_safe, job.source);
    });
  }

 private:
  Label* labels() const { return static_cast<Label*>(job.labels); }

  template <typename Body>
  void each_block(const Body& body) const {
    const std::int64_t last = fuseg::max<std::int64_t>(job.out_width - kLanes, 0);
    for (std::int64_t x = 0; x < job.out_width; x += kLanes) {
      body(BlockPixels{job.out_width, fuseg::min(x, last), first, end});
    }
  }

  void copy_first_row() const {
    const Label* from = labels() + first * job.out_width;
    for (std::int64_t y = first + 1; y < end; ++y) {
      std::memcpy(labels() + y * job.out_width, from, job.out_width * sizeof(Label));
    }
  }
};

// Labels, unless they are there already, and what else is asked for, in the bands that
// start from `first` to `end`: no band is cut in two.
template <FusionMode kMode, Arithmetic kArithmetic, typename Label>
void fuse_rows(const FuseArgmax& job, const PresentMaps& present, FuseWork work,
               bool labelled, std::int64_t first, std::int64_t end) {
  const JobTraits traits = traits_of(job, present);
  Walks walks(job, work, present);
  std::int64_t y = first;
  while (y < end && !starts_band(job, present, y)) ++y;
  while (y < end) {
    MapBand bands[kMostMaps];
    std::int64_t stop = job.out_height;
    for (int i = 0; i < present.count; ++i) {
      bands[i] = walks.at[i].band_at(y);
      stop = fuseg::min(stop, walks.at[i].end_of_band(y));
    }
    const FusedBand<kMode, kArithmetic, Label> band{
        job,
        bands,
        present.count,
        traits,
        band_traits(job, traits, bands, present.count),
        work,
        y,
        stop};
    if (!labelled) band.label();
    if (!labelled && job.confidence != nullptr) band.softmax_max();
    if (job.source != nullptr) band.write_sources();
    y = stop;
  }
}

template <typename Label>
void label_sums(const FuseArgmax& job, const PresentMaps& present, FuseWork* works) {
  const int first = present.maps[0];
  BandWork bands[kMostThreads];
  for (int part = 0; part < job.threads; ++part) bands[part] = works[part].maps[first];
  const ScoreMap& map = job.maps[first];
  const AffineAxis line = affine_axis(map.height, job.out_height, job.align_corners);
  const double step = static_cast<double>(line.step) / line.unit;
  const LabelJob<Label> labels{job.classes,
                               &map.rows,
                               &map.columns,
                               1,
                               static_cast<Label*>(job.labels),
                               job.confidence,
                               static_cast<float>(step)};
  const auto plain = [&](int i) {
    return !job.maps[present.maps[i]].half && counts_for_all(job, present.maps[i]);
  };
  if (present.count == 2 && plain(0) && plain(1)) {
    const auto sums = [&](std::int64_t, std::int64_t y) {
      return PlainRow<2>(job, present.maps, y);
    };
    label_images(labels, sums, bands, job.threads);
    return;
  }
  const auto sums = [&](std::int64_t, std::int64_t y) {
    return WeightedRow{job, present.maps, present.count, y, nullptr};
  };
  label_images(labels, sums, bands, job.threads);
}

template <FusionMode kMode, Arithmetic kArithmetic, typename Label>
void fuse(const FuseArgmax& job) {
  Scratch memory(job.scratch);
  const PresentMaps present = find_present(job, memory);
  if (present.count == 0) {
    const std::int64_t last = fuseg::max<std::int64_t>(job.out_width - kLanes, 0);
    for (std::int64_t x = 0; x < job.out_width; x += kLanes) {
      write_no_map<Label>(job, {job.out_width, fuseg::min(x, last), 0, job.out_height});
    }
    return;
  }
  FuseWork works[kMostThreads];
  for (int part = 0; part < job.threads; ++part) {
    works[part] = cut_fuse_work(memory, job);
  }
  const bool sums =
      kMode == FusionMode::kAdd && present.one_grid && job.out_width >= kLanes;
  if (sums) label_sums<Label>(job, present, works);
  if (sums && job.source == nullptr) return;
  in_bands(job.out_height, job.threads, 1,
           [&](int part, std::int64_t first, std::int64_t end) {
             fuse_rows<kMode, kArithmetic, Label>(job, present, works[part], sums,
                                                  first, end);
           });
}

template <typename Label>
void fuse_into(const FuseArgmax& job) {
  switch (job.mode) {
    case FusionMode::kAdd:
      return fuse<FusionMode::kAdd, Arithmetic::kSum, Label>(job);
    case FusionMode::kMultiply:
      return fuse<FusionMode::kMultiply, Arithmetic::kLogSum, Label>(job);
    case FusionMode::kMax:
      return fuse<FusionMode::kMax, Arithmetic::kMax, Label>(job);
  }
}

}  // namespace

void fuse_argmax_simd(const FuseArgmax& job) {
  job.wide() ? fuse_into<std::uint16_t>(job) : fuse_into<std::uint8_t>(job);
}

}  // namespace fuseg::FUSEG_LEVEL
