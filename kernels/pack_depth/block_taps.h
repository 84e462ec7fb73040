// The taps of a block, in vectors, and what becomes of them; for pack_depth_simd.cpp
// only.
#pragma once

#include <cmath>
#include <cstring>

#include "common/scalar.h"
#include "pack_depth/pack_depth.h"
#include "pack_depth/pick_tables.h"
#include "pack_depth/windows.h"
#include "simd/simd.h"

namespace fuseg::FUSEG_LEVEL {
namespace {

// What a lane's taps are picked into: two words of one vector, or a vector each.
template <typename T>
struct BlockTaps {
  Ints words;
  Floats near() const { return low_words(words); }
  Floats far() const { return high_words(words); }
};

template <>
struct BlockTaps<float> {
  Ints first, second;
  Floats near() const { return as_floats(first); }
  Floats far() const { return as_floats(second); }
};

// A row of the frame; with kLoose, what load_loose() took out of it.
struct FrameRow {
  const char* pixels;
  std::int32_t* picked;
};

template <typename T, bool blends, int shape>
[[gnu::always_inline]] inline Ints picked_from(const FrameRow& row,
                                               const std::uint8_t* records,
                                               std::int64_t block,
                                               int pick_number = 0) {
  constexpr Layout layout{sizeof(T), blends};
  if constexpr (shape == kLoose) {
    return load(row.picked + (block * layout.picks() + pick_number) * kLanes);
  } else {
    constexpr WindowShape w = kWindowShapes[shape];
    const std::uint8_t* record = records + block * layout.record_bytes();
    const void* bases = record + layout.base_at();
    return pick<layout.item, layout.fill(), w.groups, w.parts>(
        row.pixels, static_cast<const std::int32_t*>(bases),
        record + layout.index_at(pick_number));
  }
}

template <typename T, int shape>
[[gnu::always_inline]] inline BlockTaps<T> taps_from(const FrameRow& row,
                                                     const std::uint8_t* records,
                                                     std::int64_t block) {
  if constexpr (sizeof(T) < 4) {
    return {picked_from<T, true, shape>(row, records, block)};
  } else {
    return {picked_from<T, true, shape>(row, records, block),
            picked_from<T, true, shape>(row, records, block, 1)};
  }
}

template <typename T, bool blends>
void load_loose(const FrameRow& to, const PickTables& tables) {
  constexpr Layout layout{sizeof(T), blends};
  const auto at = [&](std::int32_t column) {  // at any address
    T raw;
    std::memcpy(&raw, to.pixels + column * std::int64_t{sizeof(T)}, sizeof raw);
    return raw;
  };
  char* picked = reinterpret_cast<char*>(to.picked);
  for (std::int64_t x = 0; x < tables.columns; ++x) {
    const TapPair& r = tables.across[x];
    if constexpr (layout.wide()) {
      const std::uint16_t value = at(r.near);
      std::memcpy(picked + x * 2, &value, 2);
    } else if constexpr (sizeof(T) < 4) {
      const std::uint32_t both = at(r.near) | std::uint32_t{at(r.far)} << 16;
      std::memcpy(picked + x * 4, &both, 4);
    } else {
      const std::int64_t block = x / kLanes * layout.picks();
      char* lane = picked + block * kVectorBytes + x % kLanes * 4;
      const T near = at(r.near), far = at(r.far);
      std::memcpy(lane, &near, 4);
      if (blends) std::memcpy(lane + kVectorBytes, &far, 4);
    }
  }
}

// What is no reading. The first kHeld of them are held in vectors.
template <typename T>
class Invalid {
 public:
  static constexpr int kHeld = 2;

  explicit Invalid(const PackDepth& job)
      : number_(job.invalid_count),
        values_(job.invalid),
        below_(all(job.below)),
        above_(all(job.above)) {
    for (int i = 0; i < kHeld; ++i) {
      value_[i] = i < number_ ? value(i) : all(NAN);
      word_[i] = number_ > 0 ? word(fuseg::min(i, number_ - 1)) : all(0);
    }
  }

  WordMask readings(Ints words) const {
    WordMask are = all_words();
    if (number_ > 0) are = differ(are, words, word_[0]);
    if (number_ > 1) are = differ(are, words, word_[1]);
    for (int i = kHeld; i < number_; ++i) are = differ(are, words, word(i));
    return are;
  }

  Mask readings(Floats raw) const {
    Mask are = lanes_mask((1u << kLanes) - 1);
    if constexpr (sizeof(T) == 4) are = both(are, inside(raw, raw));
    are = differ(differ(are, raw, value_[0]), raw, value_[1]);
#pragma GCC unroll 1
    for (int i = kHeld; i < number_; ++i) are = differ(are, raw, value(i));
    return are;
  }

  // Whether there may be a tap that is no reading: true as well if one is 0, there
  // being no invalid values at all, or if `blended` is not finite, as it is with NaN.
  bool may_be_incomplete(const BlockTaps<T>& a, const BlockTaps<T>& b,
                         Floats blended) const {
    if constexpr (sizeof(T) < 4) {
      bool found = any_word_is(word_[0], word_[1], a.words, b.words);
#pragma GCC unroll 1
      for (int i = kHeld; i < number_; ++i) {
        found |= any_word_is(word(i), word(i), a.words, b.words);
      }
      return found;
    } else {
      const Floats least = min(min(a.near(), a.far()), min(b.near(), b.far()));
      const Floats most = max(max(a.near(), a.far()), max(b.near(), b.far()));
      Mask above = finite(blended), below = inside(least, most);
      const auto compare = [&](Floats value) {
        above = differ(differ(above, a.near(), value), a.far(), value);
        below = differ(differ(below, b.near(), value), b.far(), value);
      };
      compare(value_[0]);
#pragma GCC unroll 1
      for (int i = 1; i < number_; ++i) compare(value(i));
      return !all_of(both(above, below));
    }
  }

 private:
  Floats value(int i) const { return all(values_[i]); }

  // In both words of every lane.
  Ints word(int i) const {
    if constexpr (sizeof(T) == 4) return all(0);
    const auto word = static_cast<std::uint16_t>(values_[i]);
    return all(static_cast<std::int32_t>(word | std::uint32_t{word} << 16));
  }

  Mask inside(Floats least, Floats most) const {
    return both(greater(least, below_), greater(above_, most));
  }

  static Mask finite(Floats v) {
    return greater(all(1.0f), sub(v, v));  // 0, or NaN
  }

  int number_;
  const float* values_;
  Floats below_, above_;
  Floats value_[kHeld];
  Ints word_[kHeld];
};

struct Blended {
  Floats raw;
  Mask readings;
};

inline Floats mean_of(Floats near, Floats far, Floats near_weight, Floats far_weight) {
  return fma(far, far_weight, mul(near, near_weight));
}

struct Weights {
  Floats left, right, above, below;
};

template <typename T>
inline Floats mean_of(const BlockTaps<T>& above, const BlockTaps<T>& below,
                      const Weights& w) {
  return mean_of(mean_of(above.near(), above.far(), w.left, w.right),
                 mean_of(below.near(), below.far(), w.left, w.right), w.above, w.below);
}

// The sum and the weight of those of a row's taps that are readings.
struct Share {
  Floats sum, weight;
  Mask both_are;
};

template <typename T>
inline Share share_of(const BlockTaps<T>& taps, const Weights& w,
                      const Invalid<T>& invalid) {
  const Floats none = all(0.0f), near = taps.near(), far = taps.far();
  const Mask left_is = invalid.readings(near), right_is = invalid.readings(far);
  const Floats left = select(left_is, w.left, none);
  const Floats right = select(right_is, w.right, none);
  return {
      mean_of(select(left_is, near, none), select(right_is, far, none), left, right),
      add(left, right), both(left_is, right_is)};
}

// blend() of a block where some are no readings.
template <typename T>
inline Blended blended_around(const BlockTaps<T>& above, const BlockTaps<T>& below,
                              const Weights& w, const Invalid<T>& invalid) {
  const Share a = share_of(above, w, invalid), b = share_of(below, w, invalid);
  const Floats weight = mean_of(a.weight, b.weight, w.above, w.below);
  const Floats value = div(mean_of(a.sum, b.sum, w.above, w.below), weight);
  return {select(both(a.both_are, b.both_are), mean_of(above, below, w), value),
          greater(weight, all(0.0f))};
}

}  // namespace
}  // namespace fuseg::FUSEG_LEVEL
