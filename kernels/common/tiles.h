// Blocks of output pixels: a vector of columns, the rows of a band. What the samples
// around a block say about it, and how its pixels are labelled.
#pragma once

#include <cstdint>

#include "common/pack_row.h"
#include "common/packed_row.h"
#include "common/simd_labels.h"
#include "common/taps.h"

namespace fuseg::FUSEG_LEVEL {

constexpr int kTileRows = kManyRegisters ? 8 : 4;
static_assert(kTileRows <= BandWork::kRows && kLanes <= BandWork::kBounce);

inline Floats blend(Floats first, Floats second, Floats fraction) {
  return fma(sub(second, first), fraction, first);
}

// kLanes output columns. Their samples are those from `base` on, `count` of them; if
// these fit into a vector, the block is near and permutes it.
struct Block {
  std::int64_t x;
  std::int64_t base;
  int count;
  Ints first;  // counted from base
  Ints second;
  Floats fraction;

  Block(const Taps& columns, std::int64_t at)
      : x(at),
        base(columns.first[at]),
        count(static_cast<int>(columns.second[at + kLanes - 1] - base) + 1),
        first(sub(load(columns.first + at), all(static_cast<std::int32_t>(base)))),
        second(sub(load(columns.second + at), all(static_cast<std::int32_t>(base)))),
        fraction(load(columns.fraction + at)) {}

  bool near() const { return count <= kLanes; }
};

// Reads a row of samples at the columns of a block.
template <bool kNear>
struct Reader {
  const Block& block;

  Floats first(const float* samples) const { return read(samples, block.first); }
  Floats second(const float* samples) const { return read(samples, block.second); }
  Ints first(const std::int32_t* samples) const { return read(samples, block.first); }
  Ints second(const std::int32_t* samples) const { return read(samples, block.second); }

 private:
  template <typename T>
  auto read(const T* samples, Ints index) const {
    if constexpr (kNear) {
      return permute(load(samples + block.base), index);
    } else {
      return gather(samples + block.base, index);
    }
  }
};

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
inline void label_tile(const BandWork& work, const Block& block,
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
inline Floats wild_score(const BandWork& work, const Reader<kNear>& reader, int c,
                         float fraction) {
  const Block& block = reader.block;
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
inline void label_wild_tile(const BandWork& work, const Block& block, int classes,
                            const TileRows& rows, Label* out) {
  const Reader<kNear> reader{block};
  Ints common;
  const Mask same = agreed(work, reader, common);
  for (int y = 0; y < kRows; ++y) {
    Floats best = all(-kInfinity);
    Ints winner = all(0);
    for (int c = 0; c < classes; ++c) {
      const Floats score = wild_score(work, reader, c, rows.fraction[y]);
      winner = select(greater(score, best), all(c), winner);
      best = max(score, best);
    }
    store_labels(out + y * rows.stride, select(same, common, winner));
  }
}

}  // namespace fuseg::FUSEG_LEVEL
