#include <cmath>
#include <cstring>
#include <iterator>

#include "common/scalar.h"
#include "common/threads.h"
#include "pack_depth/block_taps.h"
#include "pack_depth/pack_depth.h"
#include "pack_depth/pick_tables.h"
#include "pack_depth/windows.h"
#include "simd/simd.h"

// The picture is made in the frame's orientation, a row of it from one or two of the
// frame's. Turned sideways, kStrip rows are kept as raw values, NaN for no reading, and
// become kStrip columns of the output.

namespace fuseg::FUSEG_LEVEL {
namespace {

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

  // That of a block of readings; put_valid() says so for all of them.
  void put_all(std::int64_t x, Floats raw) { store(out_ + x, normal(raw)); }

  void put_valid(std::int64_t columns) {
    if (valid_ != nullptr) fuseg::fill_n(valid_, columns, std::uint8_t{1});
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
    store(row_ + x, select(readings, raw, all(NAN)));
  }
  // That of a block of readings; put_valid() says so for all of them.
  void put_all(std::int64_t x, Floats raw) { store(row_ + x, raw); }
  void put_valid(std::int64_t) {}
  void put_some(std::int64_t x, Floats raw, Mask readings, int) {
    put(x, raw, readings);
  }

 private:
  float* row_;
};

// The rows of the frame that come next, prefetched block by block. A frame fresh from a
// camera is seldom in the cache, and no processor guesses which rows a resize skips.
template <int rows>
struct Ahead {
  const char* row[rows];
  std::int64_t step;  // bytes a block

  void prefetch(std::int64_t block) const {
    for (std::int64_t at = block * step; at < (block + 1) * step; at += 64) {
      for (const char* r : row) __builtin_prefetch(r + at);
    }
  }
};

template <typename T, bool blends, int shape>
class Picture {
  static constexpr Layout kLayout{sizeof(T), blends};

 public:
  Picture(const PackDepth& job, const PickTables& tables, int part)
      : job_(job),
        tables_(tables),
        invalid_(job),
        picked_(tables.picked + part * tables.padded * 4),
        incomplete_(tables.incomplete + part * tables.padded / kLanes) {}

  // Returns the readings.
  template <typename Sink>
  std::int64_t row(std::int64_t r, Sink& sink) const {
    const TapPair& down = tables_.down[r];
    const FrameRow above = frame_row(down.near, 0);
    if constexpr (!blends) {
      return plain_row(above, after(r), sink);
    } else {
      const FrameRow below = frame_row(down.far, 1);
      return blended_row(above, below, down, after(r), sink);
    }
  }

 private:
  FrameRow frame_row(std::int32_t y, int number) const {
    const FrameRow row{pixels_of(y), picked_ + number * tables_.padded * 2};
    if constexpr (shape == kLoose) load_loose<T, blends>(row, tables_);
    return row;
  }

  const char* pixels_of(std::int32_t y) const {
    return static_cast<const char*>(job_.frame) + y * job_.row_bytes;
  }

  auto after(std::int64_t r) const {
    const TapPair& next = tables_.down[fuseg::min(r + 1, tables_.rows - 1)];
    const std::int64_t item = sizeof(T), left = job_.geometry.left * item;
    const std::int64_t blocks = tables_.padded / kLayout.lanes();
    const std::int64_t step = (job_.geometry.width * item + blocks - 1) / blocks;
    if constexpr (blends) {
      return Ahead<2>{{pixels_of(next.near) + left, pixels_of(next.far) + left}, step};
    } else {
      return Ahead<1>{{pixels_of(next.near) + left}, step};
    }
  }

  template <typename Sink>
  [[gnu::always_inline]] std::int64_t plain_row(const FrameRow& row,
                                                const Ahead<1>& ahead,
                                                Sink& sink) const {
    const Invalid<T> invalid = invalid_;
    const std::uint8_t* records = tables_.records;
    const std::int64_t blocks = tables_.columns / kLayout.lanes();
    std::int64_t readings = 0;
    for (std::int64_t block = 0; block < blocks; ++block) {
      ahead.prefetch(block);
      const std::int64_t x = block * kLayout.lanes();
      const Ints values = picked_from<T, false, shape>(row, records, block);
      if constexpr (kLayout.wide()) {
        const WordMask are = invalid.readings(values);
        sink.put(x, to_floats(low_half(values)), low_half(are));
        sink.put(x + kLanes, to_floats(high_half(values)), high_half(are));
        readings += count(are);
      } else {
        const Mask are = invalid.readings(as_floats(values));
        sink.put(x, as_floats(values), are);
        readings += count(are);
      }
    }
    const std::int64_t x = blocks * kLayout.lanes();
    if (x == tables_.columns) return readings;
    return readings + last(picked_from<T, false, shape>(row, records, blocks), x, sink);
  }

  // The block at x, which the end of the row cuts.
  template <typename Sink>
  std::int64_t last(Ints values, std::int64_t x, Sink& sink) const {
    const int rest = static_cast<int>(tables_.columns - x);
    if constexpr (!kLayout.wide()) {
      const Floats raw = as_floats(values);
      return put_some(x, raw, invalid_.readings(raw), rest, sink);
    } else {
      const WordMask are = invalid_.readings(values);
      const std::int64_t readings =
          put_some(x, to_floats(low_half(values)), low_half(are), rest, sink);
      if (rest <= kLanes) return readings;
      return readings + put_some(x + kLanes, to_floats(high_half(values)),
                                 high_half(are), rest - kLanes, sink);
    }
  }

  template <typename Sink>
  std::int64_t put_some(std::int64_t x, Floats raw, Mask readings, int lanes,
                        Sink& sink) const {
    lanes = fuseg::min(lanes, kLanes);
    readings = both(readings, lanes_mask((1u << lanes) - 1));
    sink.put_some(x, raw, readings, lanes);
    return count(readings);
  }

  // Every block is blended as if all were readings; where that was wrong it is done
  // again, so that the first loop has no branch and the second one no idle turn.
  template <typename Sink>
  [[gnu::noinline]] std::int64_t blended_row(FrameRow above, FrameRow below,
                                             TapPair down, Ahead<2> ahead,
                                             Sink sink) const {
    const Invalid<T> invalid = invalid_;
    const std::uint8_t* records = tables_.records;
    std::int32_t* const to_do = incomplete_;
    const std::int64_t blocks = tables_.columns / kLanes;
    const Floats weight_above = all(down.near_weight);
    const Floats weight_below = all(down.far_weight);
    std::int64_t incomplete = 0;
    for (std::int64_t block = 0; block < blocks; ++block) {
      ahead.prefetch(block);
      const BlockTaps<T> a = taps_from<T, shape>(above, records, block);
      const BlockTaps<T> b = taps_from<T, shape>(below, records, block);
      const Floats raw =
          mean_of(a, b, weights(records, block, weight_above, weight_below));
      sink.put_all(block * kLanes, raw);
      to_do[incomplete] = static_cast<std::int32_t>(block);
      incomplete += invalid.may_be_incomplete(a, b, raw);
    }
    sink.put_valid(blocks * kLanes);
    std::int64_t readings = (blocks - incomplete) * kLanes;
    if (incomplete > 0 || tables_.columns % kLanes > 0) {
      readings += blend_incomplete(above, below, down, incomplete, sink);
    }
    return readings;
  }

  // And the block that the end of the row cuts.
  template <typename Sink>
  [[gnu::noinline]] std::int64_t blend_incomplete(FrameRow above, FrameRow below,
                                                  TapPair down, std::int64_t incomplete,
                                                  Sink sink) const {
    const Floats weight_above = all(down.near_weight);
    const Floats weight_below = all(down.far_weight);
    const std::uint8_t* records = tables_.records;
    const auto blend_block = [&](std::int64_t block) {
      return blended_around(taps_from<T, shape>(above, records, block),
                            taps_from<T, shape>(below, records, block),
                            weights(records, block, weight_above, weight_below),
                            invalid_);
    };
    std::int64_t readings = 0;
    for (std::int64_t i = 0; i < incomplete; ++i) {
      const Blended b = blend_block(incomplete_[i]);
      sink.put(std::int64_t{incomplete_[i]} * kLanes, b.raw, b.readings);
      readings += count(b.readings);
    }
    const std::int64_t blocks = tables_.columns / kLanes;
    const int rest = static_cast<int>(tables_.columns % kLanes);
    if (rest == 0) return readings;
    const Blended b = blend_block(blocks);
    return readings + put_some(blocks * kLanes, b.raw, b.readings, rest, sink);
  }

  static Weights weights(const std::uint8_t* records, std::int64_t block, Floats above,
                         Floats below) {
    const void* record = records + block * kLayout.record_bytes();
    const float* near = static_cast<const float*>(record);
    return {load(near), load(near + kLayout.far_weight_at() / 4), above, below};
  }

  const PackDepth& job_;
  const PickTables tables_;
  const Invalid<T> invalid_;
  std::int32_t* picked_;
  std::int32_t* incomplete_;
};

// Writes what lies beside the picture.
template <typename U>
void fill_beside(const PackDepth& job) {
  U values[kLanes];
  store(values, all(job.fill));
  const Geometry& g = job.geometry;
  const auto fill = [&](std::int64_t y, std::int64_t from, std::int64_t to) {
    const std::int64_t at = y * g.out_width;
    fuseg::fill_n(static_cast<U*>(job.out) + at + from, to - from, values[0]);
    if (job.valid == nullptr) return;
    fuseg::fill_n(job.valid + at + from, to - from, std::uint8_t{0});
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
void stand_up(const PackDepth& job, const PickTables& t, const float* strip,
              std::int64_t first, std::int64_t count, Plane<U>& plane) {
  const std::int64_t pitch = t.padded;
  const Geometry& g = job.geometry;
  for (std::int64_t y0 = 0; y0 < t.columns; y0 += kStrip) {
    const std::int64_t height = fuseg::min(kStrip, t.columns - y0);
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
std::int64_t pack_band(const PackDepth& job, const PickTables& tables, int part,
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
    const std::int64_t count = fuseg::min(kStrip, end - x);
    for (std::int64_t i = 0; i < count; ++i) {
      StripRow row(strip + i * tables.padded);
      readings += picture.row(x + i, row);
    }
    stand_up(job, tables, strip, x, count, plane);
  }
  return readings;
}

using Band = std::int64_t (*)(const PackDepth&, const PickTables&, int, std::int64_t,
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
Band band_from(const PickChoice& choice) {
  return choice.blends ? band_shaped<U, T, true>(choice.shape)
                       : band_shaped<U, T, false>(choice.shape);
}

template <typename U>
std::int64_t pack_to(const PackDepth& job, const PickTables& tables) {
  const Geometry& g = job.geometry;
  if (g.picture_height != g.out_height || g.picture_width != g.out_width) {
    fill_beside<U>(job);
  }
  const Band band =
      job.in == PackDepth::In::kUint8    ? band_from<U, std::uint8_t>(*tables.choice)
      : job.in == PackDepth::In::kUint16 ? band_from<U, std::uint16_t>(*tables.choice)
                                         : band_from<U, float>(*tables.choice);
  std::int64_t of_parts[kMostThreads] = {};
  in_bands(tables.rows, job.threads, kStrip,
           [&](int part, std::int64_t first, std::int64_t end) {
             of_parts[part] = band(job, tables, part, first, end);
           });
  std::int64_t readings = 0;
  for (const std::int64_t some : of_parts) readings += some;
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
  if (job.planes.step != 1) return pack_depth_cpu(job);  // a GPU's layout
  Scratch memory(job.memory);
  const PickTables tables = tables_in(memory, job);
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
