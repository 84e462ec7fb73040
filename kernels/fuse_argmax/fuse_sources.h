// Which map contributes most to the label of each pixel of a block.
#pragma once

#include <cstdint>

#include "fuse_argmax/fuse_blocks.h"
#include "fuse_argmax/logarithm.h"

namespace fuseg::FUSEG_LEVEL::fusing {

// The scores of one class in a block, map by map.
template <FusionMode kMode>
struct MapContribution {
  const MapBlocks& blocks;
  int label = -1;
  RowPair pair[kMostMaps];
  bool one_weight = false;  // one weight for all: logarithms would not change an order

  explicit MapContribution(const MapBlocks& given) : blocks(given) {}

  void load(int c) {
    if (label == c) return;
    label = c;
    one_weight = kMode == FusionMode::kMultiply;
    for (int s = 0; s < blocks.count; ++s) {
      pair[s] = row_pair_of<true>(blocks.at[s], c);
      one_weight &= blocks.at[s].band->weights[c] == blocks.at[0].band->weights[c];
    }
  }

  bool linear() const { return kMode != FusionMode::kMultiply || one_weight; }

  // The map, where the class has this label; where it could not win, none.
  Ints argmax_map(std::int64_t y) const {
    Floats best = all(-kInfinity), sum = all(0.0f);
    Ints source = all(kNoMap);
    for (int s = 0; s < blocks.count; ++s) {
      const MapBlock& block = blocks.at[s];
      const float weight = block.band->weights[label];
      if (weight == 0.0f) continue;
      Floats own =
          blend_rows<Arithmetic::kLogSum, true>(block, pair[s], pair[s].above, y);
      if constexpr (kMode == FusionMode::kMultiply) {
        const Mask positive =
            greater(own, all(0.0f));  // or the sum is -infinity, or NaN
        sum = select(block.counts, select(positive, sum, all(-kInfinity)), sum);
        if (!one_weight) own = mul(all(weight), logarithm(own));
      } else {
        sum = select(block.counts, add(sum, own), sum);
      }
      const Mask larger = both(block.counts, greater(own, best));
      const auto map =
          static_cast<std::int32_t>(block.band->map - block.band->job->maps);
      source = select(larger, all(map), source);
      best = select(larger, own, best);
    }
    if constexpr (kMode == FusionMode::kMax) return source;
    return select(greater(sum, all(-kInfinity)), source, all(kNoMap));
  }
};

// The label of all pixels of a block, if it is one.
template <typename Label>
inline std::int32_t only_label(const BlockPixels& pixels, const Label* labels) {
  const std::int32_t label = labels[pixels.first * pixels.width + pixels.x];
  for (std::int64_t y = pixels.first; y < pixels.end; ++y) {
    const Mask same = equal(pixels.read(labels, y), all(label));
    if (bits(same) != (1u << kLanes) - 1) return kNoClass;
  }
  return label;
}

template <FusionMode kMode, typename Label>
inline void write_source_row(MapBlocks& blocks, const BlockPixels& pixels,
                             std::int64_t y, const Label* labels,
                             MapContribution<kMode>& contribution,
                             std::uint8_t* source) {
  load_row(blocks, y);
  const Ints given = pixels.read(labels, y);
  std::int32_t lanes[kLanes];
  store(lanes, given);
  Ints source_lanes = all(kNoMap);
  unsigned left = bits(any_map(blocks));
  while (left != 0) {
    const std::int32_t label = lanes[__builtin_ctz(left)];
    contribution.load(label);
    const Mask here = equal(given, all(label));
    left &= ~bits(here);
    source_lanes = select(here, contribution.argmax_map(y), source_lanes);
  }
  source_lanes = select(any_map(blocks), source_lanes, all(kNoMap));
  pixels.write(source, y, [&](std::uint8_t* out) { store_labels(out, source_lanes); });
}

// Whether the scores of each map change linearly from row to row. Above the centres of
// its first samples nothing changes, below them something does.
inline bool linear_in_rows(const MapBlocks& blocks, const BlockPixels& pixels) {
  bool is = true;
  blocks.each([&](const MapBlock& block) {
    is &= block.band->map->rows.first[pixels.first] > 0 ||
          block.fraction_at(pixels.first) > 0.0f ||
          block.fraction_at(pixels.end - 1) == 0.0f;
  });
  return is;
}

template <FusionMode kMode, typename Label>
inline void write_source(MapBlocks& blocks, const BlockPixels& pixels,
                         const Label* labels, bool finite_safe, std::uint8_t* source) {
  MapContribution<kMode> contribution(blocks);
  const std::int32_t label =
      finite_safe && blocks.complete && linear_in_rows(blocks, pixels)
          ? only_label(pixels, labels)
          : kNoClass;
  if (label != kNoClass) {
    contribution.load(label);
    if (contribution.linear()) {
      // The largest map in both the first row and the last one is so in between.
      load_row(blocks, pixels.first);
      const Ints source_lanes = contribution.argmax_map(pixels.first);
      const Mask same = equal(source_lanes, contribution.argmax_map(pixels.end - 1));
      if (bits(same) == (1u << kLanes) - 1) {
        for (std::int64_t y = pixels.first; y < pixels.end; ++y) {
          pixels.write(source, y,
                       [&](std::uint8_t* out) { store_labels(out, source_lanes); });
        }
        return;
      }
    }
  }
  for (std::int64_t y = pixels.first; y < pixels.end; ++y) {
    write_source_row(blocks, pixels, y, labels, contribution, source);
  }
}

}  // namespace fuseg::FUSEG_LEVEL::fusing
