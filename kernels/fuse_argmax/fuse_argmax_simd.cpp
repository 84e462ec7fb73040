#include <algorithm>
#include <cstdint>

#include "common/label_bands.h"
#include "common/threads.h"
#include "fuse_argmax/fuse_argmax.h"
#include "fuse_argmax/fuse_blocks.h"
#include "fuse_argmax/fuse_sources.h"
#include "fuse_argmax/fuse_work.h"
#include "fuse_argmax/map_rows.h"

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

// What the walk knows beforehand.
struct Rules {
  bool shortcuts;   // who wins at the samples says who may win between them
  bool unweighted;  // all weights are 1
};

Rules rules_of(const FuseArgmax& job) {
  Rules rules{true, true};
  for (int m = 0; m < job.count; ++m) {
    const float* weights = job.weights + m * job.classes;
    for (int c = 0; c < job.classes; ++c) {
      rules.unweighted &= weights[c] == 1.0f;
      if (job.how == Fusing::kAdd) continue;
      rules.shortcuts &= weights[c] != 0.0f;
      // A power of a blend is not the blend of powers; one power for all is as good.
      if (job.how == Fusing::kMultiply) rules.shortcuts &= weights[c] == weights[0];
    }
  }
  return rules;
}

// What holds for a band.
struct BandRules {
  bool tame;      // nothing is NaN, infinite or huge, or where maps are multiplied < 0
  bool products;  // float32 holds what probabilities multiply to, or says it does not
};

BandRules band_rules(const FuseArgmax& job, const Rules& rules, const MapBand* bands) {
  BandRules band{true, job.how == Fusing::kMultiply && rules.unweighted};
  for (int m = 0; m < job.count; ++m) {
    for (const PackedRow* row : {bands[m].upper, bands[m].lower}) {
      band.tame &= row->tame;
      if (job.how == Fusing::kMultiply) band.tame &= row->lowest >= 0.0f;
      band.products &= row->largest <= 2.0f;
    }
  }
  return band;
}

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
    for (std::int64_t i = at; i < at + count; ++i) {
      static_cast<Label*>(job.labels)[i] = static_cast<Label>(job.ignore);
      if (job.confidence != nullptr) job.confidence[i] = 0.0f;
      if (job.source != nullptr) job.source[i] = kNoMap;
    }
  }
}

// The sources of all maps' samples, for one thread.
struct Walks {
  MapWalk at[kMostMaps];

  Walks(const FuseArgmax& job, FuseWork& work, const Missing* missing)
      : at{walk(job, work, missing, 0), walk(job, work, missing, 1),
           walk(job, work, missing, 2), walk(job, work, missing, 3)} {}

 private:
  static MapWalk walk(const FuseArgmax& job, FuseWork& work, const Missing* missing,
                      int m) {
    return {job, m, work.maps[m], missing[m].rows, missing[m].stride};
  }
};

// Labels, unless they are there already, and what else is asked for.
template <Fusing kHow, Way kWay, typename Label>
void fuse_rows(const FuseArgmax& job, const Missing* missing, FuseWork work,
               bool labelled, std::int64_t first, std::int64_t end) {
  const Rules rules = rules_of(job);
  Walks walks(job, work, missing);
  for (std::int64_t y = first; y < end;) {
    MapBand bands[kMostMaps];
    std::int64_t stop = end;
    for (int m = 0; m < job.count; ++m) {
      bands[m] = walks.at[m].band_at(y);
      stop = std::min(stop, walks.at[m].end_of_band(y));
    }
    const BandRules band = band_rules(job, rules, bands);
    for (std::int64_t x = 0; x < job.out_width; x += kLanes) {
      const std::int64_t last = std::max<std::int64_t>(job.out_width - kLanes, 0);
      const Place place{job.out_width, std::min(x, last), y, stop};
      Sites sites(bands, job.count, place.x);
      if (sites.count == 0) {
        forget<Label>(job, place);
        continue;
      }
      if (!labelled) label_block<kWay, Label>(sites, place, rules, band, work);
      if (!labelled && job.confidence != nullptr) {
        confide_block<kWay>(sites, place, band);
      }
      if (job.source != nullptr) {
        owe<kHow>(sites, place, static_cast<const Label*>(job.labels), job.source);
      }
    }
    y = stop;
  }
}

// Only maps with planes have missing readings.
void find_missing(const ScoreMap& map, Missing& missing) {
  if (map.valid == nullptr) {
    missing.rows = nullptr;
    return;
  }
  for (std::int64_t y = 0; y < map.height; ++y) {
    const std::uint8_t* valid = map.valid + y * map.width;
    std::int32_t* row = missing.rows + y * missing.stride;
    for (std::int64_t x = 0; x < map.width; ++x) row[x] = valid[x] == 0;
  }
}

template <typename Label>
void label_sums(const FuseArgmax& job, FuseWork* works) {
  BandWork bands[kMostThreads];
  for (int part = 0; part < job.threads; ++part) bands[part] = works[part].maps[0];
  const ScoreMap& map = job.maps[0];
  const Line line = line_over(map.height, job.out_height, job.align_corners);
  const double step = static_cast<double>(line.step) / line.unit;
  const LabelJob<Label> labels{job.classes,
                               &map.rows,
                               &map.columns,
                               1,
                               static_cast<Label*>(job.labels),
                               job.confidence,
                               static_cast<float>(step)};
  const auto sums = [&](std::int64_t, std::int64_t y) {
    return WeightedRow{job, 0, job.count, y, nullptr};
  };
  label_images(labels, sums, bands, job.threads);
}

bool one_grid(const FuseArgmax& job) {
  for (int m = 0; m < job.count; ++m) {
    const ScoreMap& map = job.maps[m];
    if (map.valid != nullptr || map.height != job.maps[0].height ||
        map.width != job.maps[0].width) {
      return false;
    }
  }
  return true;
}

template <Fusing kHow, Way kWay, typename Label>
void fuse(const FuseArgmax& job) {
  Scratch memory(job.scratch);
  Missing missing[kMostMaps] = {};
  for (int m = 0; m < job.count; ++m) {
    missing[m] = cut_missing(memory, job.maps[m]);
    find_missing(job.maps[m], missing[m]);
  }
  FuseWork works[kMostThreads];
  for (int part = 0; part < job.threads; ++part) {
    works[part] = cut_fuse_work(memory, job);
  }
  const bool sums = kHow == Fusing::kAdd && one_grid(job);
  if (sums) label_sums<Label>(job, works);
  if (sums && job.source == nullptr) return;
  in_bands(job.out_height, job.threads, 1,
           [&](int part, std::int64_t first, std::int64_t end) {
             fuse_rows<kHow, kWay, Label>(job, missing, works[part], sums, first, end);
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
