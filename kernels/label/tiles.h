// Tiles: some rows of a block, at whose pixels classes are blended and compared.
#pragma once

#include <cstdint>

#include "label/column_blocks.h"

namespace fuseg::FUSEG_LEVEL {

// The output rows of a tile, and where they lie between the samples.
struct TileRows {
  const float* fraction;
  std::int64_t stride;  // of the pixels
};

// Where the four samples around a column agree, and on what. Rounding must not change
// that.
template <bool kNear>
inline Mask agreed(const BandWork& work, const Reader<kNear>& reader, Ints& label) {
  label = reader.first(work.upper.winner);
  const Mask above = equal(label, reader.second(work.upper.winner));
  const Mask below = both(equal(label, reader.first(work.lower.winner)),
                          equal(label, reader.second(work.lower.winner)));
  return both(above, below);
}

// The definition for kRows rows of a block, over the classes of a list, in order.
template <int kRows, bool kNear, typename Label>
inline void label_tile(const BandWork& work, const BlockTaps& block,
                       const std::int32_t* list, int listed, const TileRows& rows,
                       Label* out) {
  const Reader<kNear> reader{block};
  Floats best[kRows];
  Ints winner[kRows];
  for (int y = 0; y < kRows; ++y) {
    best[y] = all(-kInfinity);
    winner[y] = all(0);
  }
  for (int i = 0; i < listed; ++i) {
    const std::int64_t at = list[i] * work.upper.stride;
    const float* upper = work.upper.scores + at;
    const float* lower = work.lower.scores + at;
    const Floats above =
        blend(reader.first(upper), reader.second(upper), block.fraction);
    const Floats below =
        blend(reader.first(lower), reader.second(lower), block.fraction);
    const Floats rise = sub(below, above);
    const Ints label = all(list[i]);
    for (int y = 0; y < kRows; ++y) {
      const Floats score = fma(rise, all(rows.fraction[y]), above);
      winner[y] = select(greater(score, best[y]), label, winner[y]);
      best[y] = max(score, best[y]);
    }
  }
  Ints common;
  const Mask same = agreed(work, reader, common);
  for (int y = 0; y < kRows; ++y) {
    store_labels(out + y * rows.stride, select(same, common, winner[y]));
  }
}

// One class in one row of a block, where scores may be NaN, infinite or huge: nothing
// of weight 0 is read, no difference is taken.
template <bool kNear>
inline Floats checked_score(const BandWork& work, const Reader<kNear>& reader, int c,
                            float fraction) {
  const BlockTaps& block = reader.block;
  const auto along = [&](const PackedRow& row) {
    const float* samples = row.scores + c * row.stride;
    const Floats first = reader.first(samples);
    const Floats blended = fma(sub(all(1.0f), block.fraction), first,
                               mul(block.fraction, reader.second(samples)));
    return select(equal(block.first, block.second), first, blended);
  };
  const Floats above = along(work.upper);
  if (fraction == 0.0f) return above;
  return fma(all(1.0f - fraction), above, mul(all(fraction), along(work.lower)));
}

template <int kRows, bool kNear, typename Label>
inline void label_checked_tile(const BandWork& work, const BlockTaps& block,
                               int classes, const TileRows& rows, Label* out) {
  const Reader<kNear> reader{block};
  Ints common;
  const Mask same = agreed(work, reader, common);
  for (int y = 0; y < kRows; ++y) {
    Floats best = all(-kInfinity);
    Ints winner = all(0);
    for (int c = 0; c < classes; ++c) {
      const Floats score = checked_score(work, reader, c, rows.fraction[y]);
      winner = select(greater(score, best), all(c), winner);
      best = max(score, best);
    }
    store_labels(out + y * rows.stride, select(same, common, winner));
  }
}

}  // namespace fuseg::FUSEG_LEVEL
