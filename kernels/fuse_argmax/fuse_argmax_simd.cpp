#include <algorithm>
#include <cstdint>
#include <cstring>

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

template <Way kWay, typename Label>
void compare(Sites& sites, const Place& place, const BandRules& rules,
             const std::int32_t* list, int listed) {
  const FuseArgmax& job = sites.job();
  Label* labels = static_cast<Label*>(job.labels);
  if (!rules.tame || !sites.all_there) {
    compare_carefully<kWay>(sites, place, list, listed, job.ignore, labels);
    return;
  }
  if (kWay == Way::kLogs && rules.products) {
    place.in_tiles(
        CompareFused<Way::kProduct, Label>{sites, place, list, listed, labels});
    return;
  }
  place.in_tiles(CompareFused<kWay, Label>{sites, place, list, listed, labels});
}

template <Way kWay, typename Label>
void label_block(Sites& sites, const Place& place, const Rules& rules,
                 const BandRules& band, FuseWork& work) {
  const FuseArgmax& job = sites.job();
  if (rules.shortcuts && band.tame && sites.near) {
    const WinnersOfAll won(sites);
    if (won.count == 1 && !won.too_many) {
      fill(sites, place, won.labels[0], job.ignore, static_cast<Label*>(job.labels));
      return;
    }
    if (!won.too_many) {
      const int listed =
          list_contenders<kWay == Way::kLogs>(sites, won, job.classes, work.contenders);
      compare<kWay, Label>(sites, place, band, work.contenders, listed);
      return;
    }
  }
  compare<kWay, Label>(sites, place, band, nullptr, job.classes);
}

template <Way kWay>
void confide_block(Sites& sites, const Place& place, const BandRules& rules) {
  const FuseArgmax& job = sites.job();
  if (!rules.tame || !sites.all_there) {
    confide_carefully<kWay>(sites, place, job.classes, job.confidence);
  } else if (kWay == Way::kLogs && rules.products) {
    place.in_tiles(
        ConfideFused<Way::kProduct>{sites, place, job.classes, job.confidence});
  } else {
    place.in_tiles(ConfideFused<kWay>{sites, place, job.classes, job.confidence});
  }
}

// No map counts.
template <typename Label>
void forget(const FuseArgmax& job, const Place& place) {
  const std::int64_t count = std::min<std::int64_t>(kLanes, job.out_width);
  for (std::int64_t y = place.first; y < place.end; ++y) {
    const std::int64_t at = y * job.out_width + place.x;
    std::fill_n(static_cast<Label*>(job.labels) + at, count,
                static_cast<Label>(job.ignore));
    if (job.confidence != nullptr) std::fill_n(job.confidence + at, count, 0.0f);
    if (job.source != nullptr) std::fill_n(job.source + at, count, kNoMap);
  }
}

// The rows of samples of all maps, for one thread.
struct Walks {
  MapWalk at[kMostMaps];

  Walks(const FuseArgmax& job, FuseWork& work, const Present& present)
      : at{walk(job, work, present, 0), walk(job, work, present, 1),
           walk(job, work, present, 2), walk(job, work, present, 3)} {}

 private:
  static MapWalk walk(const FuseArgmax& job, FuseWork& work, const Present& present,
                      int i) {
    const int m = i < present.count ? present.maps[i] : 0;
    return {job, m, work.maps[m], present.missing[m].rows, present.missing[m].stride};
  }
};

// The output rows of one band.
template <Fusing kHow, Way kWay, typename Label>
struct FusedBand {
  const FuseArgmax& job;
  const MapBand* bands;
  int maps;
  Rules rules;
  BandRules band;
  FuseWork& work;
  std::int64_t first;
  std::int64_t end;

  void label() const {
    std::int32_t* disputed = work.disputed;
    std::int64_t count = 0;
    each_block([&](const Place& place) {
      const bool asked = rules.shortcuts && band.tame;
      const std::int32_t label = asked ? agreed(bands, maps, place.x) : kNobody;
      place.write(labels(), first, [&](Label* out) { store_labels(out, all(label)); });
      disputed[count] = static_cast<std::int32_t>(place.x);
      count += label == kNobody;  // or the next one takes the place
    });
    if (count * kLanes < job.out_width) copy_first_row();
    for (std::int64_t i = 0; i < count; ++i) {
      const Place place{job.out_width, disputed[i], first, end};
      Sites sites(bands, maps, place.x);
      if (sites.count == 0) {
        forget<Label>(job, place);
      } else {
        label_block<kWay, Label>(sites, place, rules, band, work);
      }
    }
  }

  void confide() const {
    each_block([&](const Place& place) {
      Sites sites(bands, maps, place.x);
      if (sites.count > 0) confide_block<kWay>(sites, place, band);
    });
  }

  void owe_sources() const {
    each_block([&](const Place& place) {
      Sites sites(bands, maps, place.x);
      if (sites.count > 0) owe<kHow>(sites, place, labels(), band.tame, job.source);
    });
  }

 private:
  Label* labels() const { return static_cast<Label*>(job.labels); }

  template <typename Body>
  void each_block(const Body& body) const {
    const std::int64_t last = std::max<std::int64_t>(job.out_width - kLanes, 0);
    for (std::int64_t x = 0; x < job.out_width; x += kLanes) {
      body(Place{job.out_width, std::min(x, last), first, end});
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
template <Fusing kHow, Way kWay, typename Label>
void fuse_rows(const FuseArgmax& job, const Present& present, FuseWork work,
               bool labelled, std::int64_t first, std::int64_t end) {
  const Rules rules = rules_of(job, present);
  Walks walks(job, work, present);
  std::int64_t y = first;
  while (y < end && !starts_band(job, present, y)) ++y;
  while (y < end) {
    MapBand bands[kMostMaps];
    std::int64_t stop = job.out_height;
    for (int i = 0; i < present.count; ++i) {
      bands[i] = walks.at[i].band_at(y);
      stop = std::min(stop, walks.at[i].end_of_band(y));
    }
    const FusedBand<kHow, kWay, Label> band{
        job,  bands, present.count, rules, band_rules(job, rules, bands, present.count),
        work, y,     stop};
    if (!labelled) band.label();
    if (!labelled && job.confidence != nullptr) band.confide();
    if (job.source != nullptr) band.owe_sources();
    y = stop;
  }
}

template <typename Label>
void label_sums(const FuseArgmax& job, const Present& present, FuseWork* works) {
  const int first = present.maps[0];
  BandWork bands[kMostThreads];
  for (int part = 0; part < job.threads; ++part) bands[part] = works[part].maps[first];
  const ScoreMap& map = job.maps[first];
  const Line line = line_over(map.height, job.out_height, job.align_corners);
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

template <Fusing kHow, Way kWay, typename Label>
void fuse(const FuseArgmax& job) {
  Scratch memory(job.scratch);
  const Present present = find_present(job, memory);
  if (present.count == 0) {
    const std::int64_t last = std::max<std::int64_t>(job.out_width - kLanes, 0);
    for (std::int64_t x = 0; x < job.out_width; x += kLanes) {
      forget<Label>(job, {job.out_width, std::min(x, last), 0, job.out_height});
    }
    return;
  }
  FuseWork works[kMostThreads];
  for (int part = 0; part < job.threads; ++part) {
    works[part] = cut_fuse_work(memory, job);
  }
  const bool sums = kHow == Fusing::kAdd && present.one_grid && job.out_width >= kLanes;
  if (sums) label_sums<Label>(job, present, works);
  if (sums && job.source == nullptr) return;
  in_bands(job.out_height, job.threads, 1,
           [&](int part, std::int64_t first, std::int64_t end) {
             fuse_rows<kHow, kWay, Label>(job, present, works[part], sums, first, end);
           });
}

template <typename Label>
void fuse_into(const FuseArgmax& job) {
  switch (job.how) {
    case Fusing::kAdd:
      return fuse<Fusing::kAdd, Way::kSum, Label>(job);
    case Fusing::kMultiply:
      return fuse<Fusing::kMultiply, Way::kLogs, Label>(job);
    case Fusing::kMax:
      return fuse<Fusing::kMax, Way::kLargest, Label>(job);
  }
}

}  // namespace

void fuse_argmax_simd(const FuseArgmax& job) {
  job.wide() ? fuse_into<std::uint16_t>(job) : fuse_into<std::uint8_t>(job);
}

}  // namespace fuseg::FUSEG_LEVEL
