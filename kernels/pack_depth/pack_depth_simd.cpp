#include <algorithm>
#include <atomic>
#include <cstring>
#include <iterator>
#include <limits>

#include "common/simd.h"
#include "common/threads.h"
#include "common/windows.h"
#include "pack_depth/pack_depth.h"
#include "pack_depth/tables.h"

// The picture is made in the frame's orientation, a row of it from one or two of the
// frame's. Turned sideways, kStrip rows are kept as raw values, NaN for no reading, and
// become kStrip columns of the output.

namespace fuseg::FUSEG_LEVEL {
namespace {

// What a lane's taps are picked into: two words of one vector, or a vector each.
template <typename T>
struct Taps {
  Ints words;
  Floats near() const { return low_words(words); }
  Floats far() const { return high_words(words); }
};

template <>
struct Taps<float> {
  Ints first, second;
  Floats near() const { return as_floats(first); }
  Floats far() const { return as_floats(second); }
};

// A row of the frame, ready to be picked from.
template <typename T, bool blends, int shape>
class Row {
  static constexpr Layout kLayout{sizeof(T), blends};

 public:
  Row(const char* row, const Tables& tables, std::int32_t* picked)
      : row_(row), base_(tables.base), index_(tables.index), picked_(picked) {
    if constexpr (shape == kLoose) load_all(tables);
  }

  Ints vector(std::int64_t block, int number = 0) const {
    if constexpr (shape == kLoose) {
      return load(picked_ + (block * kLayout.picks() + number) * kLanes);
    } else {
      constexpr WindowShape w = kWindowShapes[shape];
      return pick<kLayout.item, kLayout.fill(), w.groups, w.parts>(
          row_, base_ + block * kMostGroups,
          index_ + block * kLayout.index_bytes() + number * kIndexParts * kVectorBytes);
    }
  }

  Taps<T> taps(std::int64_t block) const {
    if constexpr (sizeof(T) < 4)
      return {vector(block)};
    else
      return {vector(block), vector(block, 1)};
  }

 private:
  void load_all(const Tables& tables) const {
    const T* row = reinterpret_cast<const T*>(row_);
    for (std::int64_t x = 0; x < tables.padded; ++x) {
      const Reach& r = across_at(tables, x);
      if constexpr (kLayout.wide()) {
        const std::uint16_t value = row[r.near];
        std::memcpy(reinterpret_cast<char*>(picked_) + x * 2, &value, 2);
      } else if constexpr (sizeof(T) < 4) {
        picked_[x] = row[r.near] | row[r.far] << 16;
      } else {
        std::int32_t* to = picked_ + x / kLanes * kLanes * kLayout.picks() + x % kLanes;
        std::memcpy(to, row + r.near, 4);
        if (blends) std::memcpy(to + kLanes, row + r.far, 4);
      }
    }
  }

  const char* row_;
  const std::int32_t* base_;
  const std::uint8_t* index_;
  std::int32_t* picked_;
};

// What is no reading, in vectors.
template <typename T>
class Invalid {
 public:
  explicit Invalid(const PackDepth& job) : number_(job.invalid_count) {
    for (int i = 0; i < PackDepth::kMostInvalid; ++i) {
      const float value = i < number_ ? job.invalid[i] : kNan;
      value_[i] = all(value);
      const std::int32_t whole = i < number_ ? static_cast<std::int32_t>(value) : 0;
      if (sizeof(T) < 4) word_[i] = all(whole | whole << 16);
    }
  }

  WordMask readings(Ints words) const {
    WordMask are = all_words();
    if (number_ > 0) are = differ(are, words, word_[0]);
    if (number_ > 1) are = differ(are, words, word_[1]);
    for (int i = 2; i < number_; ++i) are = differ(are, words, word_[i]);
    return are;
  }

  Mask readings(Floats raw) const {
    Mask are = all_lanes();
    if constexpr (sizeof(T) == 4) are = both(are, finite(raw));
    are = differ(differ(are, raw, value_[0]), raw, value_[1]);
#pragma GCC unroll 1
    for (int i = 2; i < number_; ++i) are = differ(are, raw, value_[i]);
    return are;
  }

  // Whether there may be a tap that is no reading, also if `blended` is not finite.
  bool may_have_holes(const Taps<T>& a, const Taps<T>& b, Floats blended) const {
    if constexpr (sizeof(T) < 4) {
      bool found = false;
#pragma GCC unroll 1
      for (int i = 0; i < number_; ++i) {
        found |= any_word_is(word_[i], a.words, b.words);
      }
      return found;
    } else {
      Mask above = finite(blended), below = above;
#pragma GCC unroll 1
      for (int i = 0; i < number_; ++i) {
        above = differ(differ(above, a.near(), value_[i]), a.far(), value_[i]);
        below = differ(differ(below, b.near(), value_[i]), b.far(), value_[i]);
      }
      return bits(both(above, below)) != bits(all_lanes());
    }
  }

  static Mask all_lanes() { return first_lanes_of(kLanes); }

 private:
  static constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

  static Mask finite(Floats v) {
    const Floats zero = sub(v, v);  // or NaN
    return greater(all(1.0f), zero);
  }

  int number_;
  Floats value_[PackDepth::kMostInvalid];
  Ints word_[PackDepth::kMostInvalid];
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
inline Floats mean_of(const Taps<T>& above, const Taps<T>& below, const Weights& w) {
  return mean_of(mean_of(above.near(), above.far(), w.left, w.right),
                 mean_of(below.near(), below.far(), w.left, w.right), w.above, w.below);
}

// The sum and the weight of those of a row's taps that are readings.
struct Share {
  Floats sum, weight;
  Mask both_are;
};

template <typename T>
inline Share share_of(const Taps<T>& taps, const Weights& w,
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
inline Blended blended_around(const Taps<T>& above, const Taps<T>& below,
                              const Weights& w, const Invalid<T>& invalid) {
  const Share a = share_of(above, w, invalid), b = share_of(below, w, invalid);
  const Floats weight = mean_of(a.weight, b.weight, w.above, w.below);
  const Floats value = div(mean_of(a.sum, b.sum, w.above, w.below), weight);
  return {select(both(a.both_are, b.both_are), mean_of(above, below, w), value),
          greater(weight, all(0.0f))};
}

// Where finished values go: a row of the output.
template <typename U>
class Plane {
 public:
  explicit Plane(const PackDepth& job)
      : multiply_(all(job.multiply)), add_(all(job.add)), fill_(all(job.fill)) {}

  void begin(const PackDepth& job, std::int64_t at) {
    out_ = static_cast<U*>(job.out) + at;
    valid_ = job.valid == nullptr ? nullptr : job.valid + at;
  }

  void put(std::int64_t x, Floats raw, Mask readings) {
    store(out_ + x, finished(raw, readings));
    if (valid_ != nullptr) store_ones(valid_ + x, readings);
  }

  void put_all(std::int64_t x, Floats raw) {
    store(out_ + x, normal(raw));
    if (valid_ != nullptr) store_ones(valid_ + x, first_lanes_of(kLanes));
  }

  void put_some(std::int64_t x, Floats raw, Mask readings, int lanes) {
    U values[kLanes];
    store(values, finished(raw, readings));
    std::memcpy(out_ + x, values, static_cast<std::size_t>(lanes) * sizeof(U));
    if (valid_ != nullptr) {
      std::uint8_t ones[kLanes];
      store_ones(ones, readings);
      std::memcpy(valid_ + x, ones, static_cast<std::size_t>(lanes));
    }
  }

 private:
  Floats finished(Floats raw, Mask readings) const {
    return select(readings, normal(raw), fill_);
  }
  Floats normal(Floats raw) const { return add(mul(raw, multiply_), add_); }

  U* out_ = nullptr;
  std::uint8_t* valid_ = nullptr;
  Floats multiply_, add_, fill_;
};

// Or a row of a strip.
class StripRow {
 public:
  explicit StripRow(float* row) : row_(row) {}

  void put(std::int64_t x, Floats raw, Mask readings) {
    store(row_ + x,
          select(readings, raw, all(std::numeric_limits<float>::quiet_NaN())));
  }
  void put_all(std::int64_t x, Floats raw) { store(row_ + x, raw); }
  void put_some(std::int64_t x, Floats raw, Mask readings, int) {
    put(x, raw, readings);
  }

 private:
  float* row_;
};

// The row of the frame that comes next, asked for block by block.
class Ahead {
 public:
  Ahead(const char* row, std::int64_t bytes, std::int64_t blocks)
      : row_(row), step_((bytes + blocks - 1) / blocks) {}
  void ask(std::int64_t block) const {
    const char* at = row_ + block * step_;
    const char* end = at + step_;
    do {
      __builtin_prefetch(at);
      at += 64;
    } while (at < end);
  }

 private:
  const char* row_;
  std::int64_t step_;
};

template <typename T, bool blends, int shape>
class Picture {
  static constexpr Layout kLayout{sizeof(T), blends};

 public:
  Picture(const PackDepth& job, const Tables& tables, int part)
      : job_(job),
        tables_(tables),
        invalid_(job),
        picked_(tables.picked + part * tables.padded * 4),
        holed_(tables.holed + part * tables.padded / kLanes) {}

  // Returns the readings.
  template <typename Sink>
  std::int64_t row(std::int64_t r, Sink& sink) const {
    if constexpr (blends)
      return blended_row(r, sink);
    else
      return plain_row(r, sink);
  }

 private:
  using Picked = Row<T, blends, shape>;

  const char* frame_row(std::int32_t y) const {
    return static_cast<const char*>(job_.frame) + y * job_.row_bytes;
  }

  Ahead after(std::int64_t r) const {
    const std::int64_t next = std::min(r + 1, tables_.rows - 1);
    const std::int64_t item = sizeof(T);
    return {frame_row(tables_.down[next].near) + job_.geometry.left * item,
            job_.geometry.width * item, tables_.padded / kLayout.lanes()};
  }

  template <typename Sink>
  std::int64_t plain_row(std::int64_t r, Sink& sink) const {
    const Ahead ahead = after(r);
    const Picked row(frame_row(tables_.down[r].near), tables_, picked_);
    const std::int64_t blocks = tables_.columns / kLayout.lanes();
    std::int64_t readings = 0;
    for (std::int64_t block = 0; block < blocks; ++block) {
      ahead.ask(block);
      const std::int64_t x = block * kLayout.lanes();
      const Ints values = row.vector(block);
      if constexpr (kLayout.wide()) {
        const WordMask are = invalid_.readings(values);
        sink.put(x, to_floats(low_half(values)), low_half(are));
        sink.put(x + kLanes, to_floats(high_half(values)), high_half(are));
        readings += count(are);
      } else {
        const Mask are = invalid_.readings(as_floats(values));
        sink.put(x, as_floats(values), are);
        readings += count(are);
      }
    }
    const std::int64_t x = blocks * kLayout.lanes();
    return x < tables_.columns ? readings + last(row.vector(blocks), x, sink)
                               : readings;
  }

  // The block at x, which the end of the row cuts.
  template <typename Sink>
  std::int64_t last(Ints values, std::int64_t x, Sink& sink) const {
    const int rest = static_cast<int>(tables_.columns - x);
    if constexpr (kLayout.wide()) {
      const WordMask are = invalid_.readings(values);
      std::int64_t readings =
          put_some(x, to_floats(low_half(values)), low_half(are), rest, sink);
      if (rest > kLanes) {
        readings += put_some(x + kLanes, to_floats(high_half(values)), high_half(are),
                             rest - kLanes, sink);
      }
      return readings;
    } else {
      return put_some(x, as_floats(values), invalid_.readings(as_floats(values)), rest,
                      sink);
    }
  }

  template <typename Sink>
  std::int64_t put_some(std::int64_t x, Floats raw, Mask readings, int lanes,
                        Sink& sink) const {
    lanes = std::min(lanes, kLanes);
    readings = both(readings, first_lanes_of(lanes));
    sink.put_some(x, raw, readings, lanes);
    return count(readings);
  }

  // Every block is blended as if all were readings; where that was wrong it is done
  // again, so that the first loop has no branch and the second one no idle turn.
  template <typename Sink>
  std::int64_t blended_row(std::int64_t r, Sink& sink) const {
    const Reach down = tables_.down[r];
    const Ahead ahead = after(r);
    const Picked above(frame_row(down.near), tables_, picked_);
    const Picked below(frame_row(down.far), tables_, picked_ + tables_.padded * 2);
    const Floats weight_above = all(down.near_weight);
    const Floats weight_below = all(down.far_weight);
    const std::int64_t blocks = tables_.columns / kLanes;
    const auto weights = [&](std::int64_t block) -> Weights {
      return {load(tables_.near_weight + block * kLanes),
              load(tables_.far_weight + block * kLanes), weight_above, weight_below};
    };
    std::int64_t holed = 0;
    for (std::int64_t block = 0; block < blocks; ++block) {
      ahead.ask(block);
      const Taps<T> a = above.taps(block), b = below.taps(block);
      const Floats raw = mean_of(a, b, weights(block));
      sink.put_all(block * kLanes, raw);
      holed_[holed] = static_cast<std::int32_t>(block);
      holed += invalid_.may_have_holes(a, b, raw);
    }
    std::int64_t readings = (blocks - holed) * kLanes;
    const auto again = [&](std::int64_t block) {
      return blended_around(above.taps(block), below.taps(block), weights(block),
                            invalid_);
    };
    for (std::int64_t i = 0; i < holed; ++i) {
      const Blended b = again(holed_[i]);
      sink.put(std::int64_t{holed_[i]} * kLanes, b.raw, b.readings);
      readings += count(b.readings);
    }
    const int rest = static_cast<int>(tables_.columns - blocks * kLanes);
    if (rest > 0) {
      const Blended b = again(blocks);
      readings += put_some(blocks * kLanes, b.raw, b.readings, rest, sink);
    }
    return readings;
  }

  const PackDepth& job_;
  const Tables tables_;
  const Invalid<T> invalid_;
  std::int32_t* picked_;
  std::int32_t* holed_;
};

// Writes what lies beside the picture.
template <typename U>
void fill_beside(const PackDepth& job) {
  U values[kLanes];
  store(values, all(job.fill));
  const Geometry& g = job.geometry;
  const auto fill = [&](std::int64_t y, std::int64_t from, std::int64_t to) {
    const std::int64_t at = y * g.out_width;
    std::fill(static_cast<U*>(job.out) + at + from, static_cast<U*>(job.out) + at + to,
              values[0]);
    if (job.valid == nullptr) return;
    std::fill(job.valid + at + from, job.valid + at + to, std::uint8_t{0});
  };
  for (std::int64_t y = 0; y < g.out_height; ++y) {
    const std::int64_t row = y - g.picture_top;
    const bool beside = row < 0 || row >= g.picture_height;
    fill(y, 0, beside ? g.out_width : g.picture_left);
    if (!beside) fill(y, g.picture_left + g.picture_width, g.out_width);
  }
}

// `strip` holds rows [first, first + count) of the picture in the frame's orientation:
// columns of the output.
template <typename U>
void stand_up(const PackDepth& job, const Tables& t, const float* strip,
              std::int64_t first, std::int64_t count, Plane<U>& plane) {
  const std::int64_t pitch = t.padded;
  const Geometry& g = job.geometry;
  for (std::int64_t y0 = 0; y0 < t.columns; y0 += kStrip) {
    const std::int64_t height = std::min(kStrip, t.columns - y0);
    float tile[kStrip][kStrip];
    for (std::int64_t y = 0; y < height; ++y) {
      for (std::int64_t i = 0; i < count; ++i) tile[y][i] = strip[i * pitch + y0 + y];
    }
    for (std::int64_t y = 0; y < height; ++y) {
      plane.begin(job, (g.picture_top + y0 + y) * g.out_width + g.picture_left + first);
      for (std::int64_t x = 0; x < count; x += kLanes) {
        const Floats raw = load(tile[y] + x);
        const Mask readings = greater(all(1.0f), sub(raw, raw));  // not NaN
        if (count - x >= kLanes)
          plane.put(x, raw, readings);
        else
          plane.put_some(x, raw, readings, static_cast<int>(count - x));
      }
    }
  }
}

// Rows [first, end) of the picture in the frame's orientation; returns the readings.
template <typename U, typename T, bool blends, int shape>
std::int64_t pack_band(const PackDepth& job, const Tables& tables, int part,
                       std::int64_t first, std::int64_t end) {
  const Geometry& g = job.geometry;
  const Picture<T, blends, shape> picture(job, tables, part);
  Plane<U> plane(job);
  std::int64_t readings = 0;
  if (!g.transposed()) {
    for (std::int64_t y = first; y < end; ++y) {
      plane.begin(job, (g.picture_top + y) * g.out_width + g.picture_left);
      readings += picture.row(y, plane);
    }
    return readings;
  }
  float* strip = tables.strip + part * kStrip * tables.padded;
  for (std::int64_t x = first; x < end; x += kStrip) {
    const std::int64_t count = std::min(kStrip, end - x);
    for (std::int64_t i = 0; i < count; ++i) {
      StripRow row(strip + i * tables.padded);
      readings += picture.row(x + i, row);
    }
    stand_up(job, tables, strip, x, count, plane);
  }
  return readings;
}

using Band = std::int64_t (*)(const PackDepth&, const Tables&, int, std::int64_t,
                              std::int64_t);

template <typename U, typename T, bool blends, int shape = kLoose>
Band band_shaped(int wanted) {
  if (shape == wanted) return pack_band<U, T, blends, shape>;
  if constexpr (shape + 1 < static_cast<int>(std::size(kWindowShapes))) {
    return band_shaped<U, T, blends, shape + 1>(wanted);
  }
  return nullptr;
}

template <typename U, typename T>
Band band_from(const Choice& choice) {
  return choice.blends ? band_shaped<U, T, true>(choice.shape)
                       : band_shaped<U, T, false>(choice.shape);
}

template <typename U>
std::int64_t pack_to(const PackDepth& job, const Tables& tables) {
  const Geometry& g = job.geometry;
  if (g.picture_height != g.out_height || g.picture_width != g.out_width) {
    fill_beside<U>(job);
  }
  const Band band =
      job.in == PackDepth::In::kUint8    ? band_from<U, std::uint8_t>(*tables.choice)
      : job.in == PackDepth::In::kUint16 ? band_from<U, std::uint16_t>(*tables.choice)
                                         : band_from<U, float>(*tables.choice);
  std::atomic<std::int64_t> readings{0};
  in_bands(tables.rows, job.threads, kStrip,
           [&](int part, std::int64_t first, std::int64_t end) {
             readings += band(job, tables, part, first, end);
           });
  return readings;
}

}  // namespace

std::int64_t pack_depth_memory_bytes_simd(const PackDepth& job) {
  Scratch measure(nullptr);
  tables_in(measure, job);
  return measure.bytes();
}

void pack_depth_prepare_simd(const PackDepth& job) {
  pack_depth_prepare_cpu(job);
  Scratch memory(job.memory);
  write_tables(job, tables_in(memory, job));
}

void pack_depth_simd(const PackDepth& job) {
  Scratch memory(job.memory);
  const Tables tables = tables_in(memory, job);
  switch (job.out_type) {
    case PackDepth::Out::kFloat32:
      *job.readings = pack_to<float>(job, tables);
      break;
    case PackDepth::Out::kFloat16:
      *job.readings = pack_to<Half>(job, tables);
      break;
    case PackDepth::Out::kInt8:
      *job.readings = pack_to<std::int8_t>(job, tables);
  }
}

}  // namespace fuseg::FUSEG_LEVEL
