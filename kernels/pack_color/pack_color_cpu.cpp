#include <algorithm>
#include <cmath>
#include <cstring>

#include "common/half.h"
#include "common/threads.h"
#include "pack_color/line_tables.h"
#include "pack_color/pack_color.h"

namespace fuseg {
namespace {

inline void put(float* to, float value) { *to = value; }
inline void put(Half* to, float value) { *to = to_half(value); }
inline void put(std::int8_t* to, float value) { *to = to_int8(value); }

// The three channels of position x of a line.
struct Pixel {
  float channel[3];
};

Pixel blended(const PackColor& job, const LineTables& tables, const Rows& rows,
              std::int64_t x) {
  const std::uint8_t* above = rows.above + tables.offset[x];
  const std::uint8_t* below = rows.below + tables.offset[x];
  const float along = tables.fraction[x], across = rows.fraction;
  const int next = along > 0 ? job.pixel_bytes : 0;
  Pixel pixel;
  for (int p = 0; p < 3; ++p) {
    const int c = job.channel[p];
    const float a = above[c], b = above[c + next], d = below[c], e = below[c + next];
    const float over = a + along * (b - a), under = d + along * (e - d);
    pixel.channel[p] = over + across * (under - over);
  }
  return pixel;
}

// The row of floats a line is made from.
void average_rows(const PackColor& job, const AxisMap& across, std::int64_t line,
                  float* row) {
  const std::int64_t bytes = job.geometry.width * job.pixel_bytes;
  const FilterSupport support = filter_support(line, across.in, across.out);
  std::fill_n(row, bytes, 0.0f);
  for (std::int64_t k = support.first; k < support.end; ++k) {
    const std::uint8_t* from = row_of(job, across.frame(k));
    const float weight = support.share(k);
    for (std::int64_t i = 0; i < bytes; ++i) {
      row[i] += weight * static_cast<float>(from[i]);
    }
  }
}

Pixel averaged(const PackColor& job, const LineTables& tables, const float* row,
               std::int64_t x) {
  const std::int64_t positions = axes_of(job.geometry).along.out;
  Pixel pixel{};
  for (std::int32_t k = 0; k < tables.count[x]; ++k) {
    const float* from = row + tables.offset[x] + k * job.pixel_bytes;
    for (int p = 0; p < 3; ++p) {
      pixel.channel[p] += tables.weight[k * positions + x] * from[job.channel[p]];
    }
  }
  return pixel;
}

template <typename T>
void pack(const PackColor& job) {
  T* out = static_cast<T*>(job.out);
  const Geometry& g = job.geometry;
  const std::int64_t step = job.planes.step;
  for (std::int64_t i = 0; i < 3 * g.out_height; ++i) {
    const std::int64_t first = i % g.out_height * g.out_width;
    T* row = out + job.planes.start[i / g.out_height] + first * step;
    const std::int64_t y = i % g.out_height - g.picture_top;
    const bool picture = y >= 0 && y < g.picture_height;
    for (std::int64_t x = 0; x < g.out_width; ++x) {
      if (picture && x == g.picture_left) x += g.picture_width;
      if (x < g.out_width) put(row + x * step, job.fill);
    }
  }

  const Axes sides = axes_of(g);
  const LineTables tables = tables_of(job);
  const Target target = target_of(g);
  in_bands(sides.across.out, job.threads, 1, [&](int part, auto first, auto end) {
    const LineScratch scratch = line_scratch_of(job, part);
    for (std::int64_t line = first; line < end; ++line) {
      Rows rows{};
      if (averages(job)) {
        average_rows(job, sides.across, line, scratch.row);
      } else {
        rows = rows_of(job, sides.across, line);
      }
      const std::int64_t begin = target.first + line * target.across;
      for (std::int64_t x = 0; x < sides.along.out; ++x) {
        const Pixel pixel = averages(job) ? averaged(job, tables, scratch.row, x)
                                          : blended(job, tables, rows, x);
        for (int p = 0; p < 3; ++p) {
          put(out + job.planes.start[p] + (begin + x * target.along) * step,
              pixel.channel[p] * job.multiply[p] + job.add[p]);
        }
      }
    }
  });
}

void fill_supports(const PackColor& job, const AxisMap& along,
                   const LineTables& tables) {
  const std::int64_t most = widest_support(along);
  tables.summary->most = static_cast<std::int32_t>(most);
  for (std::int64_t x = 0; x < along.out; ++x) {
    const FilterSupport support = filter_support(x, along.in, along.out);
    const std::int64_t left =
        std::min(along.frame(support.first), along.frame(support.end - 1)) -
        job.geometry.left;
    tables.offset[x] = static_cast<std::int32_t>(left * job.pixel_bytes);
    tables.count[x] = static_cast<std::int32_t>(support.end - support.first);
    for (std::int64_t k = 0; k < most; ++k) tables.weight[k * along.out + x] = 0;
    for (std::int64_t k = support.first; k < support.end; ++k) {
      const std::int64_t at = along.frame(k) - job.geometry.left - left;
      tables.weight[at * along.out + x] = support.share(k);
    }
  }
}

// 16 positions from x on, eight or all of them from each base; false if they do
// not reach.
bool fill_window(const PackColor& job, const LineTables& tables, std::int64_t x,
                 int each, Window* window) {
  const std::int64_t row_bytes = job.geometry.width * job.pixel_bytes;
  window->x = static_cast<std::int32_t>(x);
  for (int half = 0; half < kBlock / each; ++half) {
    const std::int32_t* offset = tables.offset + x + half * each;
    const std::int64_t base = std::min<std::int64_t>(
        std::min(offset[0], offset[each - 1]), row_bytes - kWindowBytes);
    if (base < 0) return false;
    window->base[half] = static_cast<std::int32_t>(base);
    for (int i = 0; i < each; ++i) {
      const int lane = half * each + i;
      const float fraction = tables.fraction[x + lane];
      const std::int64_t at = offset[i] - base;
      const std::int64_t next = fraction > 0 ? at + job.pixel_bytes : at;
      if (next + std::min(job.pixel_bytes, 3) > kWindowBytes) return false;
      std::uint8_t* index = window->index + 4 * lane;
      index[0] = index[1] = index[3] = static_cast<std::uint8_t>(at);
      index[2] = static_cast<std::uint8_t>(next);
    }
  }
  if (each == kBlock) window->base[1] = window->base[0];
  return true;
}

std::int32_t fill_windows(const PackColor& job, const LineTables& tables,
                          std::int64_t positions, int each) {
  if (positions < kBlock) return 0;
  const std::int64_t windows = (positions + kBlock - 1) / kBlock;
  for (std::int64_t w = 0; w < windows; ++w) {
    const std::int64_t x = std::min(w * kBlock, positions - kBlock);
    if (!fill_window(job, tables, x, each, tables.windows + w)) return 0;
  }
  return static_cast<std::int32_t>(windows);
}

TapKind tap_kind_of(const float* fraction, std::int64_t positions) {
  TapKind tap_kind = TapKind::kOne;
  for (std::int64_t x = 0; x < positions; ++x) {
    const float whole = fraction[x] * 16384;
    if (whole != std::floor(whole)) return TapKind::kFine;
    if (whole > 0) tap_kind = TapKind::kExact;
  }
  return tap_kind;
}

}  // namespace

std::int64_t pack_color_tables_bytes(const PackColor& job) {
  Scratch measure(nullptr);
  cut_tables(measure, job);
  return measure.bytes();
}

std::int64_t pack_color_scratch_bytes(const PackColor& job) {
  return line_scratch_bytes(job) * std::clamp(job.threads, 1, kMostThreads);
}

void pack_color_tables(const PackColor& job, void* memory) {
  Scratch scratch(memory);
  const LineTables tables = cut_tables(scratch, job);
  const AxisMap along = axes_of(job.geometry).along;
  *tables.summary = Summary{};
  if (averages(job)) return fill_supports(job, along, tables);
  for (std::int64_t x = 0; x < along.out; ++x) {
    const Tap tap = along.tap(x, job.filter);
    const std::int64_t left = tap.index - job.geometry.left;
    tables.offset[x] = static_cast<std::int32_t>(left * job.pixel_bytes);
    tables.fraction[x] = static_cast<float>(tap.fraction);
    const double exact = tap.fraction * 16384;
    const auto weight = static_cast<std::int32_t>(std::nearbyint(exact));
    const auto rest = static_cast<std::int32_t>(
        std::nearbyint((exact - static_cast<double>(weight)) * 256));
    tables.pair[x] = pair_of(16384 - weight, weight);
    tables.rest[x] = pair_of(-rest, rest);
  }
  Summary& summary = *tables.summary;
  summary.tap_kind = tap_kind_of(tables.fraction, along.out);
  summary.windows = fill_windows(job, tables, along.out, kBlock);
  if (summary.windows > 0) return;
  summary.windows = fill_windows(job, tables, along.out, kBlock / 2);
  summary.halves = true;
}

void pack_color_cpu(const PackColor& job) {
  switch (job.element) {
    case PackColor::Element::kFloat32:
      return pack<float>(job);
    case PackColor::Element::kFloat16:
      return pack<Half>(job);
    case PackColor::Element::kInt8:
      return pack<std::int8_t>(job);
  }
}

}  // namespace fuseg
