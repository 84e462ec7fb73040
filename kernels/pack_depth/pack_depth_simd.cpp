#include <algorithm>
#include <atomic>
#include <cstring>
#include <iterator>
#include <limits>
#include <type_traits>

#include "common/simd.h"
#include "common/threads.h"
#include "common/windows.h"
#include "pack_depth/pack_depth.h"
#include "pack_depth/reaches.h"

// The picture is made in the frame's orientation, a row of it from one or two of the
// frame's. Turned sideways, kStrip rows are kept as raw values, NaN for no reading, and
// become kStrip columns of the output.

namespace fuseg::FUSEG_LEVEL {
namespace {

constexpr std::int64_t kStrip = 16;
constexpr int kLoose = -1;  // no window's shape fits: every value is loaded by itself

// A row of the picture, in the frame's orientation, in blocks of kLanes.
struct Tables {
  Reach* down;    // for every row
  Reach* across;  // for every column
  std::int64_t rows;
  std::int64_t columns;
  std::int64_t blocks;
  int* shape;           // one: of the windows, or kLoose
  std::int32_t* base;   // 4 a block
  std::uint8_t* index;  // kIndexParts vectors a block and tap that is picked by itself
  float* near_weight;
  float* far_weight;
  std::int32_t* picked;  // scratch of every thread: a row's taps
  float* strip;          // scratch of every thread: kStrip rows
};

constexpr int kMostGroups = 4;

int item_bytes(PackDepth::In in) {
  return in == PackDepth::In::kUint8 ? 1 : in == PackDepth::In::kUint16 ? 2 : 4;
}

// Two taps of float32 do not share a lane.
int picks(const PackDepth& job) {
  const bool two = job.filter == Filter::kBilinear && job.in == PackDepth::In::kFloat32;
  return two ? 2 : 1;
}

std::int64_t index_bytes(const PackDepth& job) {
  return std::int64_t{picks(job)} * kIndexParts * kVectorBytes;
}

Tables tables_in(Scratch& memory, const PackDepth& job) {
  const Reaches reaches = reaches_in(memory, job);
  const Geometry& g = job.geometry;
  const bool turned = g.transposed();
  Tables t{};
  t.down = turned ? reaches.columns : reaches.rows;
  t.across = turned ? reaches.rows : reaches.columns;
  t.rows = turned ? g.picture_width : g.picture_height;
  t.columns = turned ? g.picture_height : g.picture_width;
  t.blocks = (t.columns + kLanes - 1) / kLanes;
  t.shape = memory.take<int>(1);
  t.base = memory.take<std::int32_t>(t.blocks * kMostGroups);
  t.index = memory.take<std::uint8_t>(t.blocks * index_bytes(job));
  t.near_weight = memory.take<float>(t.blocks * kLanes);
  t.far_weight = memory.take<float>(t.blocks * kLanes);
  t.picked = memory.take<std::int32_t>(t.blocks * kLanes * 4 * job.threads);
  t.strip = memory.take<float>(turned ? kStrip * t.blocks * kLanes * job.threads : 0);
  return t;
}

const Reach& across_at(const Tables& t, std::int64_t x) {
  return t.across[std::min(x, t.columns - 1)];
}

// The first and last of the frame's columns that `lanes` of the picture's read.
struct Extent {
  std::int32_t first;
  std::int32_t last;
};

Extent extent_of(const Tables& t, std::int64_t x, int lanes) {
  Extent e{across_at(t, x).near, across_at(t, x).near};
  for (int lane = 0; lane < lanes; ++lane) {
    const Reach& r = across_at(t, x + lane);
    e.first = std::min({e.first, r.near, r.far});
    e.last = std::max({e.last, r.near, r.far});
  }
  return e;
}

// Puts the windows' bases into the table, if windows of this shape reach everything
// and lie inside the crop.
bool fits(const PackDepth& job, const Tables& t, const WindowShape& shape) {
  const int item = item_bytes(job.in);
  const std::int64_t reach = std::int64_t{shape.parts} * kPartBytes / item;
  const std::int64_t crop_end = job.geometry.left + job.geometry.width;
  if (reach > job.geometry.width) return false;
  const int lanes = kLanes / shape.groups;
  for (std::int64_t block = 0; block < t.blocks; ++block) {
    for (int group = 0; group < shape.groups; ++group) {
      const Extent e = extent_of(t, block * kLanes + group * lanes, lanes);
      const std::int64_t base = std::min<std::int64_t>(e.first, crop_end - reach);
      if (e.last >= base + reach) return false;
      t.base[block * kMostGroups + group] = static_cast<std::int32_t>(base * item);
    }
  }
  return true;
}

template <int item>
void write_index(const PackDepth& job, const Tables& t, const WindowShape& shape) {
  const int lanes = kLanes / shape.groups;
  for (std::int64_t block = 0; block < t.blocks; ++block) {
    std::uint8_t* index = t.index + block * index_bytes(job);
    clear_index(index, kIndexParts * picks(job));
    for (int lane = 0; lane < kLanes; ++lane) {
      const Reach& r = across_at(t, block * kLanes + lane);
      const int base = t.base[block * kMostGroups + lane / lanes] / item;
      set_index<item>(index, near_slot(lane, item), r.near - base);
      if (job.filter != Filter::kBilinear) continue;
      if constexpr (item < 4) {
        set_index<item>(index, far_slot(lane, item), r.far - base);
      } else {
        set_index<item>(index + kIndexParts * kVectorBytes, lane, r.far - base);
      }
    }
  }
}

void write_windows(const PackDepth& job, const Tables& t) {
  *t.shape = kLoose;
  int number = 0;
  for (const WindowShape& shape : kWindowShapes) {
    if (fits(job, t, shape)) {
      *t.shape = number;
      const int item = item_bytes(job.in);
      if (item == 1) return write_index<1>(job, t, shape);
      if (item == 2) return write_index<2>(job, t, shape);
      return write_index<4>(job, t, shape);
    }
    ++number;
  }
}

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
template <typename T, bool bilinear, int shape>
class Row {
 public:
  Row(const char* row, const Tables& tables, std::int32_t* picked)
      : row_(row), tables_(tables), picked_(picked) {}

  // To be called before taps() if no window fits.
  void load_all() const {
    const T* row = reinterpret_cast<const T*>(row_);
    for (std::int64_t x = 0; x < tables_.blocks * kLanes; ++x) {
      const Reach& r = across_at(tables_, x);
      std::int32_t* to = picked_ + x / kLanes * kLanes * 2 + x % kLanes;
      if constexpr (sizeof(T) < 4) {
        *to = row[r.near] | (bilinear ? row[r.far] << 16 : 0);
      } else {
        std::memcpy(to, row + r.near, 4);
        std::memcpy(to + kLanes, row + r.far, 4);
      }
    }
  }

  Taps<T> taps(std::int64_t block) const {
    constexpr int item = sizeof(T);
    constexpr int picks = bilinear && item == 4 ? 2 : 1;
    if constexpr (shape == kLoose) {
      const std::int32_t* from = picked_ + block * kLanes * 2;
      if constexpr (item < 4)
        return {load(from)};
      else
        return {load(from), load(from + kLanes)};
    } else {
      constexpr WindowShape w = kWindowShapes[shape];
      const std::int32_t* base = tables_.base + block * kMostGroups;
      const std::uint8_t* index =
          tables_.index + block * picks * kIndexParts * kVectorBytes;
      const Ints first = pick<item, bilinear, w.groups, w.parts>(row_, base, index);
      if constexpr (item < 4) {
        return {first};
      } else if constexpr (!bilinear) {
        return {first, first};
      } else {
        return {first, pick<item, bilinear, w.groups, w.parts>(
                           row_, base, index + kIndexParts * kVectorBytes)};
      }
    }
  }

 private:
  const char* row_;
  const Tables& tables_;
  std::int32_t* picked_;
};

// What is no reading, in vectors.
template <typename T>
class Invalid {
 public:
  explicit Invalid(const PackDepth& job) : count_(job.invalid_count) {
    for (int i = 0; i < PackDepth::kMostInvalid; ++i) {
      const float value = i < count_ ? job.invalid[i] : kNan;
      value_[i] = all(value);
      const std::int32_t whole = i < count_ ? static_cast<std::int32_t>(value) : 0;
      if (sizeof(T) < 4) word_[i] = all(whole | whole << 16);
    }
  }

  Mask readings(Floats raw) const {
    Mask are = all_lanes();
    if constexpr (sizeof(T) == 4) are = both(are, finite(raw));
    are = differ(are, raw, value_[0]);
    are = differ(are, raw, value_[1]);
    for (int i = 2; i < count_; ++i) are = differ(are, raw, value_[i]);
    return are;
  }

  // Never true where it is not; for float32 also `blended` must be finite.
  bool all_readings(const Taps<T>& a, const Taps<T>& b, Floats blended) const {
    if constexpr (sizeof(T) < 4) {
      for (int i = 0; i < count_; ++i) {
        if (any_word_is(word_[i], a.words, b.words)) return false;
      }
      return true;
    } else {
      Mask are = finite(blended);
      for (int i = 0; i < count_; ++i) {
        for (const Taps<T>& taps : {a, b}) {
          are = differ(differ(are, taps.near(), value_[i]), taps.far(), value_[i]);
        }
      }
      return bits(are) == bits(all_lanes());
    }
  }

  static Mask all_lanes() { return first_lanes_of(kLanes); }

 private:
  static constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

  static Mask finite(Floats v) {
    const Floats zero = sub(v, v);  // or NaN
    return greater(all(1.0f), zero);
  }

  int count_;
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

// blend() of a block.
template <typename T>
inline Blended blended(const Taps<T>& near, const Taps<T>& far, Floats down_near,
                       Floats down_far, const float* near_weight,
                       const float* far_weight, const Invalid<T>& invalid) {
  const Floats left = load(near_weight), right = load(far_weight);
  const Floats whole =
      mean_of(mean_of(near.near(), near.far(), left, right),
              mean_of(far.near(), far.far(), left, right), down_near, down_far);
  if (invalid.all_readings(near, far, whole)) return {whole, Invalid<T>::all_lanes()};
  const Floats none = all(0.0f);
  Mask complete = Invalid<T>::all_lanes();
  Floats sum[2], weight[2];
  int row = 0;
  for (const Taps<T>* taps : {&near, &far}) {
    const Mask is_left = invalid.readings(taps->near());
    const Mask is_right = invalid.readings(taps->far());
    const Floats l = select(is_left, left, none), r = select(is_right, right, none);
    sum[row] = mean_of(select(is_left, taps->near(), none),
                       select(is_right, taps->far(), none), l, r);
    weight[row++] = add(l, r);
    complete = both(complete, both(is_left, is_right));
  }
  const Floats share = mean_of(weight[0], weight[1], down_near, down_far);
  const Floats value = mean_of(sum[0], sum[1], down_near, down_far);
  return {select(complete, whole, div(value, share)), greater(share, none)};
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
    count_ += __builtin_popcount(bits(readings));
  }

  void put_some(std::int64_t x, Floats raw, Mask readings, int lanes) {
    readings = both(readings, first_lanes_of(lanes));
    U values[kLanes];
    store(values, finished(raw, readings));
    std::memcpy(out_ + x, values, static_cast<std::size_t>(lanes) * sizeof(U));
    if (valid_ != nullptr) {
      std::uint8_t ones[kLanes];
      store_ones(ones, readings);
      std::memcpy(valid_ + x, ones, static_cast<std::size_t>(lanes));
    }
    count_ += __builtin_popcount(bits(readings));
  }

  std::int64_t count() const { return count_; }

 private:
  Floats finished(Floats raw, Mask readings) const {
    return select(readings, add(mul(raw, multiply_), add_), fill_);
  }

  U* out_ = nullptr;
  std::uint8_t* valid_ = nullptr;
  Floats multiply_, add_, fill_;
  std::int64_t count_ = 0;
};

// Or a row of a strip.
class StripRow {
 public:
  explicit StripRow(float* row) : row_(row) {}

  void put(std::int64_t x, Floats raw, Mask readings) {
    store(row_ + x,
          select(readings, raw, all(std::numeric_limits<float>::quiet_NaN())));
  }
  void put_some(std::int64_t x, Floats raw, Mask readings, int) {
    put(x, raw, readings);
  }

 private:
  float* row_;
};

// The rows that come after this one, asked for block by block.
class Ahead {
 public:
  Ahead(const char* row, std::int64_t bytes, std::int64_t blocks)
      : row_(row), step_((bytes + blocks - 1) / blocks) {}
  void ask(std::int64_t block) const {
    for (std::int64_t at = 0; at < step_; at += 64) {
      __builtin_prefetch(row_ + block * step_ + at);
    }
  }

 private:
  const char* row_;
  std::int64_t step_;
};

template <typename T, bool bilinear, int shape>
struct Picture {
  const PackDepth& job;
  const Tables& tables;
  const Invalid<T> invalid;
  std::int32_t* picked;

  const char* frame_row(std::int32_t y) const {
    return static_cast<const char*>(job.frame) + y * job.row_bytes;
  }

  Ahead after(std::int64_t r) const {
    const std::int64_t next = std::min(r + 1, tables.rows - 1);
    const std::int64_t item = sizeof(T);
    return {frame_row(tables.down[next].near) + job.geometry.left * item,
            job.geometry.width * item, tables.blocks};
  }

  template <typename Sink>
  void row(std::int64_t r, Sink& sink) const {
    const Reach& down = tables.down[r];
    const Ahead ahead = after(r);
    const Row<T, bilinear, shape> near(frame_row(down.near), tables, picked);
    const Row<T, bilinear, shape> far(frame_row(down.far), tables,
                                      picked + tables.blocks * kLanes * 2);
    if constexpr (shape == kLoose) {
      near.load_all();
      if constexpr (bilinear) far.load_all();
    }
    const Floats down_near = all(down.near_weight), down_far = all(down.far_weight);
    const auto block_at = [&](std::int64_t block) -> Blended {
      ahead.ask(block);
      if constexpr (!bilinear) {
        const Floats raw = near.taps(block).near();
        return {raw, invalid.readings(raw)};
      } else {
        return blended(near.taps(block), far.taps(block), down_near, down_far,
                       tables.near_weight + block * kLanes,
                       tables.far_weight + block * kLanes, invalid);
      }
    };
    const std::int64_t whole = tables.columns / kLanes;
    for (std::int64_t block = 0; block < whole; ++block) {
      const Blended b = block_at(block);
      sink.put(block * kLanes, b.raw, b.readings);
    }
    if (whole < tables.blocks) {
      const Blended b = block_at(whole);
      sink.put_some(whole * kLanes, b.raw, b.readings,
                    static_cast<int>(tables.columns - whole * kLanes));
    }
  }
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
  const std::int64_t pitch = t.blocks * kLanes;
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

template <typename U, typename T, bool bilinear, int shape>
std::int64_t pack(const PackDepth& job, const Tables& tables) {
  const Geometry& g = job.geometry;
  if (g.picture_height != g.out_height || g.picture_width != g.out_width) {
    fill_beside<U>(job);
  }
  std::atomic<std::int64_t> readings{0};
  const Invalid<T> invalid(job);
  const std::int64_t row_lanes = tables.blocks * kLanes;
  const auto band = [&](int part, std::int64_t first, std::int64_t end) {
    Plane<U> plane(job);
    const Picture<T, bilinear, shape> picture{job, tables, invalid,
                                              tables.picked + part * row_lanes * 4};
    if (!g.transposed()) {
      for (std::int64_t y = first; y < end; ++y) {
        plane.begin(job, (g.picture_top + y) * g.out_width + g.picture_left);
        picture.row(y, plane);
      }
    } else {
      float* strip = tables.strip + part * kStrip * row_lanes;
      for (std::int64_t x = first; x < end; x += kStrip) {
        const std::int64_t count = std::min(kStrip, end - x);
        for (std::int64_t i = 0; i < count; ++i) {
          StripRow row(strip + i * row_lanes);
          picture.row(x + i, row);
        }
        stand_up(job, tables, strip, x, count, plane);
      }
    }
    readings += plane.count();
  };
  in_bands(tables.rows, job.threads, kStrip, band);
  return readings;
}

template <typename T, bool bilinear, int shape>
std::int64_t pack_to(const PackDepth& job, const Tables& tables) {
  switch (job.out_type) {
    case PackDepth::Out::kFloat16:
      return pack<Half, T, bilinear, shape>(job, tables);
    case PackDepth::Out::kInt8:
      return pack<std::int8_t, T, bilinear, shape>(job, tables);
    default:
      return pack<float, T, bilinear, shape>(job, tables);
  }
}

template <typename T, bool bilinear, int shape = kLoose>
std::int64_t pack_shaped(const PackDepth& job, const Tables& tables) {
  if (shape == *tables.shape) return pack_to<T, bilinear, shape>(job, tables);
  if constexpr (shape + 1 < static_cast<int>(std::size(kWindowShapes))) {
    return pack_shaped<T, bilinear, shape + 1>(job, tables);
  }
  return 0;
}

template <typename T>
std::int64_t pack_from(const PackDepth& job, const Tables& tables) {
  return job.filter == Filter::kBilinear ? pack_shaped<T, true>(job, tables)
                                         : pack_shaped<T, false>(job, tables);
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
  const Tables t = tables_in(memory, job);
  write_windows(job, t);
  for (std::int64_t x = 0; x < t.blocks * kLanes; ++x) {
    t.near_weight[x] = across_at(t, x).near_weight;
    t.far_weight[x] = across_at(t, x).far_weight;
  }
}

void pack_depth_simd(const PackDepth& job) {
  Scratch memory(job.memory);
  const Tables tables = tables_in(memory, job);
  switch (job.in) {
    case PackDepth::In::kUint8:
      *job.readings = pack_from<std::uint8_t>(job, tables);
      break;
    case PackDepth::In::kUint16:
      *job.readings = pack_from<std::uint16_t>(job, tables);
      break;
    case PackDepth::In::kFloat32:
      *job.readings = pack_from<float>(job, tables);
  }
}

}  // namespace fuseg::FUSEG_LEVEL
