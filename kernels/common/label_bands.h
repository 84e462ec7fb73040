// Labels from class scores on a coarser grid: the walk over bands of output rows.
//
// A band is the output rows between two rows of samples. Its pixels are worked on in
// blocks, a vector of columns wide. Where one class wins at all samples around a block,
// it is filled. Where two do, mostly no third one can interfere, and the sign of their
// difference decides. Elsewhere the classes that can win are listed, blended and
// compared.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <utility>

#include "common/confidence.h"
#include "common/contenders.h"
#include "common/threads.h"
#include "common/tiles.h"

namespace fuseg::FUSEG_LEVEL {

// What all threads share.
template <typename Label>
struct LabelJob {
  int classes;
  const Taps* rows;
  const Taps* columns;
  std::int64_t images;
  Label* labels;      // (images, H, W)
  float* confidence;  // the same, or null
  float row_step;     // what the fraction of a row differs by from that above

  // An image narrower than a vector is labelled in the bounce buffer.
  std::int64_t blocks() const { return (columns->count + kLanes - 1) / kLanes; }
  bool narrow() const { return columns->count < kLanes; }
  std::int64_t block_x(std::int64_t i) const {
    return narrow() ? 0 : std::min(i * kLanes, columns->count - kLanes);
  }
};

// The output rows of a band, of one image.
template <typename Label>
struct Band {
  const LabelJob<Label>& job;
  std::int64_t first;
  std::int64_t end;
  std::int64_t pixels;  // of the images before this one

  const float* fraction(std::int64_t y) const { return job.rows->fraction + y; }
  std::int64_t at(std::int64_t y, std::int64_t x) const {
    return pixels + y * job.columns->count + x;
  }
};

// Calls body.template rows<n>(y) for tiles of n rows that make up a band, as alike as
// possible.
template <typename Body>
inline void in_tiles(std::int64_t first, std::int64_t end, const Body& body) {
  const std::int64_t tiles = (end - first + kTileRows - 1) / kTileRows;
  for (std::int64_t i = 0; i < tiles; ++i) {
    const std::int64_t y = first + (end - first) * i / tiles;
    const std::int64_t rows = first + (end - first) * (i + 1) / tiles - y;
    switch (rows) {
      case 1:
        body.template rows<1>(y);
        break;
      case 2:
        body.template rows<2>(y);
        break;
      case 3:
        body.template rows<3>(y);
        break;
      case 4:
        body.template rows<4>(y);
        break;
      default:
        if constexpr (kTileRows == 8) {
          switch (rows) {
            case 5:
              body.template rows<5>(y);
              break;
            case 6:
              body.template rows<6>(y);
              break;
            case 7:
              body.template rows<7>(y);
              break;
            default:
              body.template rows<8>(y);
          }
        }
    }
  }
}

// Calls write(rows, out) so that it fills n rows of a block, by way of the bounce
// buffer if the picture is narrower than that.
template <typename Pixel, typename Label, typename Write>
inline void into(const BandWork& work, const Band<Label>& band, Pixel* pixels,
                 std::int64_t y, std::int64_t n, std::int64_t x, const Write& write) {
  const std::int64_t width = band.job.columns->count;
  Pixel* out = pixels + band.at(y, x);
  if (!band.job.narrow()) {
    write(TileRows{band.fraction(y), width}, out);
    return;
  }
  Pixel* bounce = reinterpret_cast<Pixel*>(work.bounce);
  write(TileRows{band.fraction(y), BandWork::kBounce}, bounce);
  for (std::int64_t i = 0; i < n; ++i) {
    std::memcpy(out + i * width, bounce + i * BandWork::kBounce, width * sizeof(Pixel));
  }
}

// All classes of a list, compared at every pixel of a block.
template <typename Label>
struct Compare {
  const BandWork& work;
  const Band<Label>& band;
  const Block& block;
  const std::int32_t* list;  // null where scores are wild
  int listed;

  template <int kRows>
  void rows(std::int64_t y) const {
    into(work, band, band.job.labels, y, kRows, block.x,
         [&](const TileRows& rows, Label* out) { write<kRows>(rows, out); });
  }

 private:
  template <int kRows>
  void write(const TileRows& rows, Label* out) const {
    if (list == nullptr && block.near()) {
      label_wild_tile<kRows, true>(work, block, listed, rows, out);
    } else if (list == nullptr) {
      label_wild_tile<kRows, false>(work, block, listed, rows, out);
    } else if (block.near()) {
      label_tile<kRows, true>(work, block, list, listed, rows, out);
    } else {
      label_tile<kRows, false>(work, block, list, listed, rows, out);
    }
  }
};

// Two classes, of which `low` is the smaller number.
template <typename Label>
inline void decide(const BandWork& work, const Band<Label>& band, const Block& block,
                   std::int32_t low, std::int32_t high) {
  const auto lead = [&](const PackedRow& row) {
    const float* scores = row.scores + block.base;
    const Floats lead =
        sub(load(scores + high * row.stride), load(scores + low * row.stride));
    return blend(permute(lead, block.first), permute(lead, block.second),
                 block.fraction);
  };
  const Floats above = lead(work.upper);
  const Floats rise = sub(lead(work.lower), above);
  const Choice<Label> choice(low, high);
  for (std::int64_t y = band.first; y < band.end; ++y) {
    into(work, band, band.job.labels, y, 1, block.x,
         [&](const TileRows& rows, Label* out) {
           const Floats score = fma(rise, all(*rows.fraction), above);
           choice.store(out, greater(score, all(0.0f)));
         });
  }
}

// True if no class could be left out.
template <typename Label>
inline bool label_disputed(const BandWork& work, const Band<Label>& band,
                           const Block& block) {
  const int classes = band.job.classes;
  const Winners winners(work, block);
  const std::int32_t one = work.upper.winner[block.base];
  const unsigned not_one = winners.other(one);
  const int lane = __builtin_ctz(not_one);
  const std::int32_t above = work.upper.winner[block.base + lane];
  const std::int32_t below = work.lower.winner[block.base + lane];
  const std::int32_t other = above != one ? above : below;
  if (two_only(work, block, winners, one, other)) {
    decide(work, band, block, std::min(one, other), std::max(one, other));
    return false;
  }
  const int listed = list_contenders(work, block, winners, classes);
  const std::int32_t* list = listed > 0 ? work.contenders : work.everyone;
  in_tiles(band.first, band.end,
           Compare<Label>{work, band, block, list, listed > 0 ? listed : classes});
  return listed == 0;
}

template <typename Label>
inline void compare_all(const BandWork& work, const Band<Label>& band,
                        const Block& block) {
  const bool tame = work.upper.tame && work.lower.tame;
  in_tiles(band.first, band.end,
           Compare<Label>{work, band, block, tame ? work.everyone : nullptr,
                          band.job.classes});
}

// Gives every pixel of a band's first row the label of the sample up to its left, and
// lists the blocks that are not of one class.
template <typename Label>
inline std::int64_t fill_row(const BandWork& work, const Band<Label>& band) {
  const LabelJob<Label>& job = band.job;
  std::int64_t count = 0;
  for (std::int64_t i = 0; i < job.blocks(); ++i) {
    const Block block(*job.columns, job.block_x(i));
    const std::int32_t* winner = work.upper.winner;
    const Ints label = block.near() ? Reader<true>{block}.first(winner)
                                    : Reader<false>{block}.first(winner);
    into(work, band, job.labels, band.first, 1, block.x,
         [&](const TileRows&, Label* out) { store_labels(out, label); });
    work.disputed[count] = static_cast<std::int32_t>(i);
    count += !block.near() || Winners(work, block).other(winner[block.base]) != 0;
  }
  return count;
}

template <typename Label>
inline void copy_first_row(const Band<Label>& band) {
  const Label* first = band.job.labels + band.at(band.first, 0);
  const std::int64_t width = band.job.columns->count;
  for (std::int64_t y = band.first + 1; y < band.end; ++y) {
    std::memcpy(band.job.labels + band.at(y, 0), first, width * sizeof(Label));
  }
}

template <typename Label>
inline void label_band(const BandWork& work, const Band<Label>& band) {
  const LabelJob<Label>& job = band.job;
  const std::int64_t disputed = fill_row(work, band);
  copy_first_row(band);
  if (job.rows->on_samples && job.columns->on_samples) return;
  const bool tame = work.upper.tame && work.lower.tame;
  // After this many blocks that all classes compete for, the others are not tried.
  constexpr std::int64_t kTrials = 8;
  std::int64_t hopeless = 0;
  for (std::int64_t i = 0; i < disputed; ++i) {
    const Block block(*job.columns, job.block_x(work.disputed[i]));
    if (!block.near() || !tame || hopeless == kTrials) {
      compare_all(work, band, block);
    } else {
      hopeless = label_disputed(work, band, block) ? hopeless + 1 : 0;
    }
  }
}

// Confidence at every pixel of a block.
template <typename Label>
struct Confide {
  const BandWork& work;
  const Band<Label>& band;
  const Block& block;
  float step;

  template <int kRows>
  void rows(std::int64_t y) const {
    into(work, band, band.job.confidence, y, kRows, block.x,
         [&](const TileRows& rows, float* out) {
           if (block.near()) {
             confide_tile<kRows, true>(work, block, band.job.classes, rows, step, out);
           } else {
             confide_tile<kRows, false>(work, block, band.job.classes, rows, step, out);
           }
         });
  }
};

template <typename Label>
inline void confide_band(const BandWork& work, const Band<Label>& band) {
  const LabelJob<Label>& job = band.job;
  const float apart = std::max(work.upper.largest, work.lower.largest) -
                      std::min(work.upper.lowest, work.lower.lowest);
  const bool calm = work.upper.tame && work.lower.tame && apart < kCalm;
  std::int64_t moving = band.first;  // rows before this one lie on the samples
  while (moving < band.end && *band.fraction(moving) == 0.0f) ++moving;
  for (std::int64_t i = 0; i < job.blocks(); ++i) {
    const Block block(*job.columns, job.block_x(i));
    if (calm) {
      in_tiles(band.first, moving, Confide<Label>{work, band, block, 0.0f});
      in_tiles(moving, band.end, Confide<Label>{work, band, block, job.row_step});
      continue;
    }
    for (std::int64_t y = band.first; y < band.end; ++y) {
      into(work, band, job.confidence, y, 1, block.x,
           [&](const TileRows& rows, float* out) {
             if (block.near()) {
               confide_wild_row<true>(work, block, job.classes, *rows.fraction, out);
             } else {
               confide_wild_row<false>(work, block, job.classes, *rows.fraction, out);
             }
           });
    }
  }
}

// The rows of samples around a band, packed. `sources(image, y)` makes a source.
template <typename Sources>
class PackedPair {
 public:
  PackedPair(BandWork& work, const Sources& sources, const Taps& rows,
             std::int64_t width)
      : work_(work),
        sources_(sources),
        samples_(rows.samples),
        width_(width),
        packed_{work.upper, work.lower} {}

  void move_to(std::int64_t image, std::int64_t y) {
    work_.upper = packed(image, y);
    work_.lower = packed(image, std::min(y + 1, samples_ - 1));
  }

 private:
  const PackedRow& packed(std::int64_t image, std::int64_t y) {
    const std::int64_t row = image * samples_ + y;
    PackedRow& place = packed_[y % 2];
    if (held_[y % 2] != row) pack_row(sources_(image, y), width_, place);
    held_[y % 2] = row;
    return place;
  }

  BandWork& work_;
  const Sources& sources_;
  std::int64_t samples_;
  std::int64_t width_;
  PackedRow packed_[2];
  std::int64_t held_[2] = {-1, -1};  // which rows of all images these are
};

// Labels all images. `works` holds one BandWork per part.
template <typename Label, typename Sources>
inline void label_images(const LabelJob<Label>& job, const Sources& sources,
                         BandWork* works, int parts) {
  const Taps& rows = *job.rows;
  const auto some = [&](int part, std::int64_t first, std::int64_t end) {
    BandWork work = works[part];
    for (int c = 0; c < job.classes; ++c) work.everyone[c] = c;
    PackedPair<Sources> pair(work, sources, rows, job.columns->samples);
    for (std::int64_t i = first; i < end; ++i) {
      const std::int64_t image = i / rows.samples;
      const std::int64_t y = i % rows.samples;
      const Band<Label> band{job, rows.start[y], rows.start[y + 1],
                             image * rows.count * job.columns->count};
      if (band.first == band.end) continue;
      pair.move_to(image, y);
      label_band(work, band);
      if (job.confidence != nullptr) confide_band(work, band);
    }
  };
  in_bands(job.images * rows.samples, parts, 1, some);
}

}  // namespace fuseg::FUSEG_LEVEL
