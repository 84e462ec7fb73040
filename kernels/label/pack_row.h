// Packs one row of class scores, and finds the two best of every sample on the way.
//
// Where the scores come from is a template parameter, a "source":
//
//   int classes() const;
//   Floats load(int c, std::int64_t x) const;                   kLanes samples from x
//   on Floats load_some(int c, std::int64_t x, int count) const;   the first `count`
//   only
#pragma once

#include <cstdint>
#include <limits>

#include "label/packed_row.h"
#include "simd/simd.h"

namespace fuseg::FUSEG_LEVEL {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

// A row of planes in memory, of which an added class of zeros may come first.
template <typename Score>
struct PlanesRow {
  const Score* first;
  std::int64_t plane;  // from class to class
  int given;
  int added;

  int classes() const { return given + added; }
  // Prefetches what comes next: no processor follows as many rows as there are classes.
  // Not for more: where planes lie a power of two apart, rows evict each other.
  Floats load(int c, std::int64_t x) const {
    if (c < added) return all(0.0f);
    __builtin_prefetch(at(c, x + 4 * kLanes));
    return FUSEG_LEVEL::load(at(c, x));
  }
  Floats load_some(int c, std::int64_t x, int count) const {
    return c < added ? all(0.0f) : FUSEG_LEVEL::load_some(at(c, x), count);
  }

 private:
  const Score* at(int c, std::int64_t x) const {
    return first + (c - added) * plane + x;
  }
};

// What all scores of a row have in common.
struct ScoreRange {
  Floats squares = all(0.0f);  // NaN or infinite if a score is, or is huge
  Floats lowest = all(kInfinity);
  Floats largest = all(-kInfinity);
};

// kVectors vectors of samples from x on.
template <int kVectors, bool kSpread, typename Load>
inline void pack_samples(const Load& load_at, int classes, std::int64_t x,
                         PackedRow& row, ScoreRange& extent) {
  Floats best[kVectors], next[kVectors];
  Ints winner[kVectors];
  for (int i = 0; i < kVectors; ++i) {
    best[i] = next[i] = all(-kInfinity);
    winner[i] = all(0);
  }
  float* packed = row.scores + x;
  for (int c = 0; c < classes; ++c, packed += row.stride) {
    const Ints label = all(c);
    for (int i = 0; i < kVectors; ++i) {
      const Floats score = load_at(c, x + i * kLanes);
      store(packed + i * kLanes, score);
      extent.squares = fma(score, score, extent.squares);
      if (kSpread) extent.lowest = min(score, extent.lowest);
      const Mask wins = greater(score, best[i]);  // false for NaN, and for a tie
      next[i] = max(min(score, best[i]), next[i]);
      best[i] = max(score, best[i]);
      winner[i] = select(wins, label, winner[i]);
    }
  }
  for (int i = 0; i < kVectors; ++i) {
    const std::int64_t to = x + i * kLanes;
    extent.largest = max(best[i], extent.largest);
    store(row.winner + to, winner[i]);
    store(row.best + to, best[i]);
    // Twice the next score: where one of two classes does not win, the next is at least
    // their mean. And more than rounding can amount to, here and where pixels are
    // blended.
    const Floats size = add(abs(best[i]), abs(next[i]));
    store(row.needed + to, fma(next[i], all(2.0f), fma(size, all(4e-6f), all(1e-36f))));
  }
}

inline float largest_lane(Floats v) {
  float lanes[kLanes];
  store(lanes, v);
  float largest = lanes[0];
  for (const float lane : lanes) largest = lane > largest ? lane : largest;
  return largest;
}

template <bool kSpread, typename Source>
inline void pack_row_with(const Source& source, std::int64_t width, PackedRow& row) {
  constexpr int kVectors = kManyRegisters ? 4 : 2;
  ScoreRange extent;
  const int classes = source.classes();
  const auto whole = [&](int c, std::int64_t x) { return source.load(c, x); };
  std::int64_t x = 0;
  for (; x + kVectors * kLanes <= width; x += kVectors * kLanes) {
    pack_samples<kVectors, kSpread>(whole, classes, x, row, extent);
  }
  if (width < kLanes) {
    const int count = static_cast<int>(width);
    const auto some = [&](int c, std::int64_t at) {
      return source.load_some(c, at, count);
    };
    pack_samples<1, kSpread>(some, classes, 0, row, extent);
  }
  for (; x < width && width >= kLanes; x += kLanes) {  // the last one overlaps
    pack_samples<1, kSpread>(whole, classes, x < width - kLanes ? x : width - kLanes,
                             row, extent);
  }
  const Mask finite_safe = greater(all(kInfinity), extent.squares);  // false for NaN
  row.finite_safe = bits(finite_safe) == (1u << kLanes) - 1;
  if (!kSpread) return;
  row.largest = largest_lane(extent.largest);
  row.lowest = -largest_lane(sub(all(0.0f), extent.lowest));
}

// Finds `lowest` and `largest` too, if `spread`.
template <typename Source>
inline void pack_row(const Source& source, std::int64_t width, PackedRow& row,
                     bool spread = true) {
  if (spread) {
    pack_row_with<true>(source, width, row);
  } else {
    pack_row_with<false>(source, width, row);
  }
}

}  // namespace fuseg::FUSEG_LEVEL
