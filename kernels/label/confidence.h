// The largest softmax probability of every pixel of a band.
#pragma once

#include <cstdint>

#include "label/exponential.h"
#include "label/tiles.h"

namespace fuseg::FUSEG_LEVEL {

// Scores that lie closer together than this are exponentiated relative to the largest
// sample around: nothing that counts becomes 0.
constexpr float kNarrowSpread = 80.0f;

// Down a column a score changes by the same amount from row to row, so its exponential
// by the same factor: two exponentials for all rows. `step` is how much the rows'
// fraction changes from one to the next.
template <int kRows, bool kNear>
inline void softmax_max_tile(const BandWork& work, const BlockTaps& block, int classes,
                             const TileRows& rows, float step, float* out) {
  const Reader<kNear> reader{block};
  const auto around = [&](const PackedRow& row) {
    return max(reader.first(row.best), reader.second(row.best));
  };
  const Floats largest = max(around(work.upper), around(work.lower));
  const Floats start = all(*rows.fraction);
  Floats best[kRows], sum[kRows];
  for (int y = 0; y < kRows; ++y) best[y] = sum[y] = all(0.0f);
  const float* upper = work.upper.scores;
  const float* lower = work.lower.scores;
  for (int c = 0; c < classes; ++c) {
    const Floats above =
        blend(reader.first(upper), reader.second(upper), block.fraction);
    const Floats below =
        blend(reader.first(lower), reader.second(lower), block.fraction);
    const Floats rise = sub(below, above);
    Floats share = exponential(sub(fma(rise, start, above), largest));
    const Floats factor = kRows > 1 ? exponential(mul(rise, all(step))) : all(1.0f);
    for (int y = 0; y < kRows; ++y) {
      if (y > 0) share = mul(share, factor);
      sum[y] = add(sum[y], share);
      best[y] = max(share, best[y]);
    }
    upper += work.upper.stride;
    lower += work.lower.stride;
  }
  for (int y = 0; y < kRows; ++y) store(out + y * rows.stride, div(best[y], sum[y]));
}

// The definition, for scores that are far apart or not finite.
template <bool kNear>
inline void softmax_max_checked_row(const BandWork& work, const BlockTaps& block,
                                    int classes, float fraction, float* out) {
  const auto score = [&](int c) {
    return checked_score(work, Reader<kNear>{block}, c, fraction);
  };
  Floats best = all(-kInfinity);
  for (int c = 0; c < classes; ++c) best = max(score(c), best);
  Floats sum = all(0.0f);
  for (int c = 0; c < classes; ++c) {
    sum = add(sum, exponential(sub(score(c), best)));
  }
  store(out, div(all(1.0f), sum));
}

}  // namespace fuseg::FUSEG_LEVEL
