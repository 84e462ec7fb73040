// Labels from class scores on a coarser grid: the walk over bands of output rows.
//
// A band is the output rows between two rows of samples. Its pixels are worked on in
// blocks, a vector of columns wide. Where one class wins at all samples around a block,
// it is filled. Where two do, mostly no third one can interfere, and the sign of their
// difference decides. Elsewhere the classes that can win are listed, blended and
// compared.
#pragma once

#include <cstdint>

#include "common/scalar.h"
#include "common/threads.h"
#include "label/candidates.h"
#include "label/confidence.h"
#include "label/tiles.h"
#include "label/two_class_blocks.h"

namespace fuseg::FUSEG_LEVEL {

// What all threads share.
template <typename Label>
struct LabelJob {
  int classes;
  const AxisTaps* rows;
  const AxisTaps* columns;
  std::int64_t images;
  Label* labels;      // (images, H, W)
  float* confidence;  // the same, or null
  float row_step;     // what the fraction of a row differs by from that above
};

// The output rows of a band, of one image.
template <typename Label>
struct Band {
  const LabelJob<Label>& job;
  std::int64_t first;
  std::int64_t end;
  std::int64_t pixels;  // of the images before this one
  std::int64_t blocks;

  TileRows rows(std::int64_t y) const {
    return {job.rows->fraction + y, job.columns->count};
  }
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

// All classes of a list, compared at every pixel of a block.
template <typename Label>
struct Compare {
  const BandWork& work;
  const Band<Label>& band;
  const BlockTaps& block;
  const std::int32_t* list;  // null: of all classes, checked
  int listed;

  template <int kRows>
  void rows(std::int64_t y) const {
    const TileRows rows = band.rows(y);
    Label* out = band.job.labels + band.at(y, block.x);
    if (list == nullptr && block.near()) {
      label_checked_tile<kRows, true>(work, block, listed, rows, out);
    } else if (list == nullptr) {
      label_checked_tile<kRows, false>(work, block, listed, rows, out);
    } else if (block.near()) {
      label_tile<kRows, true>(work, block, list, listed, rows, out);
    } else {
      label_tile<kRows, false>(work, block, list, listed, rows, out);
    }
  }
};

// All classes that can win in a block. False if hardly one could be left out.
template <typename Label>
inline bool label_candidates(const BandWork& work, const Band<Label>& band,
                             const BlockTaps& block, const MixedBlock& two) {
  const int classes = band.job.classes;
  const int listed = list_candidates(work, block, two, classes);
  in_tiles(band.first, band.end,
           Compare<Label>{work, band, block, work.candidates, listed});
  return listed * 4 < classes * 3;
}

template <typename Label>
inline void label_all_classes(const BandWork& work, const Band<Label>& band,
                              const BlockTaps& block, bool finite_safe) {
  in_tiles(band.first, band.end,
           Compare<Label>{work, band, block, finite_safe ? work.all_classes : nullptr,
                          band.job.classes});
}

template <typename Label>
inline void label_two_class_blocks(const BandWork& work, const Band<Label>& band,
                                   std::int64_t count) {
  const PackedRow upper = work.upper;
  const PackedRow lower = work.lower;
  const AxisTaps columns = *band.job.columns;
  const float* fraction = band.job.rows->fraction + band.first;
  const std::int64_t rows = band.end - band.first;
  Label* out = band.job.labels + band.at(band.first, 0);
  const ColumnBlock* blocks = work.blocks;
  const MixedBlock* two_class = work.two_class;
  for (std::int64_t i = 0; i < count; ++i) {
    const MixedBlock two = two_class[i];
    const BlockTaps block(columns, blocks[two.block]);
    label_two_class_block(upper, lower, block, two, fraction, rows, columns.count,
                          out + block.x);
  }
}

template <typename Label>
inline void label_band(const BandWork& work, const Band<Label>& band) {
  const AxisTaps& columns = *band.job.columns;
  Label* first_row = band.job.labels + band.at(band.first, 0);
  const std::int64_t mixed = fill_row(work, columns, band.blocks, first_row);
  repeat_row(first_row, columns.count, band.end - band.first);
  if (band.job.rows->on_samples && columns.on_samples) return;

  const bool finite_safe = work.upper.finite_safe && work.lower.finite_safe;
  const Split split = find_two_class_blocks(work, finite_safe, mixed);
  label_two_class_blocks(work, band, split.two_class);
  std::int64_t useless = 0;
  for (std::int64_t i = 0; i < split.others; ++i) {
    const MixedBlock two = work.others[i];
    const BlockTaps block(columns, work.blocks[two.block]);
    if (two.low < 0 || useless == kTrials) {
      label_all_classes(work, band, block, finite_safe);
    } else {
      useless = label_candidates(work, band, block, two) ? 0 : useless + 1;
    }
  }
}

// Confidence at every pixel of a block.
template <typename Label>
struct ConfidenceTile {
  const BandWork& work;
  const Band<Label>& band;
  const BlockTaps& block;
  float step;

  template <int kRows>
  void rows(std::int64_t y) const {
    const TileRows rows = band.rows(y);
    float* out = band.job.confidence + band.at(y, block.x);
    if (block.near()) {
      softmax_max_tile<kRows, true>(work, block, band.job.classes, rows, step, out);
    } else {
      softmax_max_tile<kRows, false>(work, block, band.job.classes, rows, step, out);
    }
  }
};

template <typename Label>
inline void softmax_max_band(const BandWork& work, const Band<Label>& band) {
  const LabelJob<Label>& job = band.job;
  const float apart = fuseg::max(work.upper.largest, work.lower.largest) -
                      fuseg::min(work.upper.lowest, work.lower.lowest);
  const bool narrow =
      work.upper.finite_safe && work.lower.finite_safe && apart < kNarrowSpread;
  std::int64_t moving = band.first;  // rows before this one lie on the samples
  while (moving < band.end && *band.rows(moving).fraction == 0.0f) ++moving;
  for (std::int64_t i = 0; i < band.blocks; ++i) {
    const BlockTaps block(*job.columns, work.blocks[i]);
    if (narrow) {
      in_tiles(band.first, moving, ConfidenceTile<Label>{work, band, block, 0.0f});
      in_tiles(moving, band.end,
               ConfidenceTile<Label>{work, band, block, job.row_step});
      continue;
    }
    for (std::int64_t y = band.first; y < band.end; ++y) {
      const float fraction = *band.rows(y).fraction;
      float* out = job.confidence + band.at(y, block.x);
      if (block.near()) {
        softmax_max_checked_row<true>(work, block, job.classes, fraction, out);
      } else {
        softmax_max_checked_row<false>(work, block, job.classes, fraction, out);
      }
    }
  }
}

// The rows of samples around a band, packed. `sources(image, y)` makes a source.
template <typename Sources>
class PackedPair {
 public:
  PackedPair(BandWork& work, const Sources& sources, const AxisTaps& rows,
             std::int64_t width, bool spread)
      : work_(work),
        sources_(sources),
        samples_(rows.samples),
        width_(width),
        spread_(spread),
        packed_{work.upper, work.lower} {}

  void move_to(std::int64_t image, std::int64_t y) {
    work_.upper = packed(image, y);
    work_.lower = packed(image, fuseg::min(y + 1, samples_ - 1));
  }

 private:
  const PackedRow& packed(std::int64_t image, std::int64_t y) {
    const std::int64_t row = image * samples_ + y;
    PackedRow& place = packed_[y % 2];
    if (held_[y % 2] == row) return place;
    held_[y % 2] = row;
    pack_row(sources_(image, y), width_, place, spread_);
    return place;
  }

  BandWork& work_;
  const Sources& sources_;
  std::int64_t samples_;
  std::int64_t width_;
  bool spread_;
  PackedRow packed_[2];
  std::int64_t held_[2] = {-1, -1};  // which rows of all images these are
};

// Labels all images, at least kLanes pixels wide. `works` holds one BandWork per part.
// Returns whether all rows of samples that were read are finite_safe.
template <typename Label, typename Sources>
inline bool label_images(const LabelJob<Label>& job, const Sources& sources,
                         BandWork* works, int parts) {
  const AxisTaps& rows = *job.rows;
  bool unsafe[kMostThreads] = {};
  const auto some = [&](int part, std::int64_t first, std::int64_t end) {
    BandWork work = works[part];
    for (int c = 0; c < job.classes; ++c) work.all_classes[c] = c;
    const std::int64_t blocks = write_column_blocks(*job.columns, work.blocks);
    PackedPair<Sources> pair(work, sources, rows, job.columns->samples,
                             job.confidence != nullptr);
    for (std::int64_t i = first; i < end; ++i) {
      const std::int64_t image = i / rows.samples;
      const std::int64_t y = i % rows.samples;
      const Band<Label> band{job, rows.start[y], rows.start[y + 1],
                             image * rows.count * job.columns->count, blocks};
      if (band.first == band.end) continue;
      pair.move_to(image, y);
      if (!work.upper.finite_safe || !work.lower.finite_safe) unsafe[part] = true;
      label_band(work, band);
      if (job.confidence != nullptr) softmax_max_band(work, band);
    }
  };
  in_bands(job.images * rows.samples, parts, 1, some);
  bool any_unsafe = false;
  for (const bool one : unsafe) any_unsafe = any_unsafe || one;
  return !any_unsafe;
}

}  // namespace fuseg::FUSEG_LEVEL
