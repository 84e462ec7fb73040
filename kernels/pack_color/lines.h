// The lines of pack_color that every instruction set has: from eight bytes a pixel, one
// by one at the row's end, and averaged.
#pragma once

#include <cstdint>

#include "common/scalar.h"
#include "pack_color/line_tables.h"
#include "pack_color/pack_color.h"
#include "pack_color/pixel_groups.h"

namespace fuseg::FUSEG_LEVEL {
namespace {

// Where the channels of a line go, in the order they have in a pixel of the frame; a
// gray pixel's one channel goes to all three.
template <typename T>
struct Planes {
  T* out[3];
  float multiply[3];
  float add[3];

  Planes(const PackColor& job, T* line, std::int64_t plane) {
    for (int p = 0; p < 3; ++p) {
      const int c = job.pixel_bytes == 1 ? p : job.channel[p];
      out[c] = line + p * plane;
      multiply[c] = job.multiply[p];
      add[c] = job.add[p];
    }
  }
};

// What a line's kernel needs to turn channels into elements. `unit`: what 1 of the
// frame's bytes is in the channels it is given.
template <typename T>
struct Sink {
  T* out[3];
  Floats multiply[3];
  Floats add[3];

  Sink(const Planes<T>& planes, float unit) {
    for (int c = 0; c < 3; ++c) {
      out[c] = planes.out[c];
      multiply[c] = all(planes.multiply[c] * (1 / unit));
      add[c] = all(planes.add[c]);
    }
  }

  void take(std::int64_t x, Floats a, Floats b, Floats c) const {
    put(out, x,
        {fma(a, multiply[0], add[0]), fma(b, multiply[1], add[1]),
         fma(c, multiply[2], add[2])});
  }
};

// About how far ahead rows are prefetched.
constexpr std::int64_t kBytesAhead = 4096;

template <typename T>
using LineKernel = void (*)(const LineTables&, std::int64_t, std::int64_t, const Rows&,
                            const Planes<T>&);

// Prefetches from the rows of a line to come.
template <bool kTwoRows>
void prefetch(const Rows& rows, std::int64_t offset) {
  __builtin_prefetch(rows.above_ahead + offset);
  if constexpr (kTwoRows) __builtin_prefetch(rows.below_ahead + offset);
}

// The unit of what `blend` gives.
constexpr float unit_of(TapKind tap_kind) {
  return tap_kind == TapKind::kOne     ? 1.0f
         : tap_kind == TapKind::kExact ? 16384.0f
                                       : 4194304.0f;
}

// `pixels`: in every lane a channel of two pixels, or of one.
template <TapKind kTapKind>
Floats blend(Ints pixels, Ints pair, Ints rest) {
  if constexpr (kTapKind == TapKind::kExact) pixels = dot(pixels, pair);
  if constexpr (kTapKind == TapKind::kFine) pixels = fine_dot(pixels, pair, rest);
  return to_floats(pixels);
}

// In 16 bytes: where the channels of a pixel, and of the next one, come from.
struct Choice {
  std::uint8_t index[16];
};

template <int kBytes, bool kNext>
constexpr Choice choice() {
  Choice choice{};
  for (int i = 0; i < 16; ++i) {
    const int channel = i / 4 < 3 && kBytes > 1 ? i / 4 : 0;
    const bool used = i % 4 == 0 || (kNext && i % 4 == 2);
    choice.index[i] = used ? channel + i % 4 / 2 * kBytes : 0x80;
  }
  return choice;
}

// Positions first to end, kLanes at least, each from eight bytes of the row.
template <typename T, int kBytes, TapKind kTapKind, bool kTwoRows>
void pixel_line(const LineTables& tables, std::int64_t first, std::int64_t end,
                const Rows& rows, const Planes<T>& planes) {
  constexpr auto kChoice = choice<kBytes, kTapKind != TapKind::kOne>();
  const Sink<T> sink(planes, unit_of(kTapKind));
  const Floats across = all(rows.fraction);
  const std::uint8_t *const above = rows.above, *const below = rows.below;
  const LineTables t = tables;
  for (std::int64_t x = first; x < end; x += kLanes) {
    x = fuseg::min(x, end - kLanes);
    for (int i = 0; i < kLanes; i += 4) prefetch<kTwoRows>(rows, t.offset[x + i]);
    const Ints pairs = load(t.pair + x), rests = load(t.rest + x);
    Floats v[4];
    for (int j = 0; j < 4; ++j) {
      const Ints pair = spread(pairs, j), rest = spread(rests, j);
      const auto blended = [&](const std::uint8_t* row) {
        const Ints groups = load_groups(row, t.offset + x + j);
        return blend<kTapKind>(choose(groups, kChoice.index), pair, rest);
      };
      v[j] = blended(above);
      if constexpr (kTwoRows) v[j] = fma(across, sub(blended(below), v[j]), v[j]);
    }
    transpose(v);
    sink.take(x, v[0], v[1], v[2]);
  }
}

// Positions whose eight bytes would leave the row, and what is left of narrow pictures.
template <typename T>
void single_positions(const PackColor& job, const LineTables& tables,
                      std::int64_t first, std::int64_t end, const Rows& rows,
                      const Planes<T>& planes) {
  for (std::int64_t x = first; x < end; ++x) {
    const std::uint8_t* above = rows.above + tables.offset[x];
    const std::uint8_t* below = rows.below + tables.offset[x];
    const float along = tables.fraction[x];
    const int next = along > 0 ? job.pixel_bytes : 0;
    for (int p = 0; p < 3; ++p) {
      const int from = job.channel[p], c = job.pixel_bytes == 1 ? p : from;
      const float a = above[from], b = above[from + next];
      const float d = below[from], e = below[from + next];
      const float over = a + along * (b - a), under = d + along * (e - d);
      const float pixel = over + rows.fraction * (under - over);
      T lanes[kLanes];
      put(lanes, all(pixel * planes.multiply[c] + planes.add[c]));
      planes.out[c][x] = lanes[0];
    }
  }
}

// The row of floats that a line is made from, and zeros after it for weights of 0.
void average_rows(const PackColor& job, const LineTables& tables, const AxisMap& across,
                  std::int64_t line, const LineScratch& scratch) {
  const std::int64_t bytes = job.geometry.width * job.pixel_bytes;
  const FilterSupport support = filter_support(line, across.in, across.out);
  const std::int64_t count = support.end - support.first;
  const std::uint8_t* first = row_of(job, across.frame(support.first));
  const std::ptrdiff_t step = across.step * job.row_bytes;
  for (std::int64_t k = 0; k < count; ++k)
    scratch.weight[k] = support.share(support.first + k);
  std::int64_t i = 0;
  for (; i + 2 * kLanes <= bytes; i += 2 * kLanes) {
    Floats left = all(0.0f), right = left;
    const std::uint8_t* from = first + i;
    for (std::int64_t k = 0; k < count; ++k, from += step) {
      const Floats weight = all(scratch.weight[k]);
      left = fma(weight, load_bytes(from), left);
      right = fma(weight, load_bytes(from + kLanes), right);
    }
    store(scratch.row + i, left);
    store(scratch.row + i + kLanes, right);
  }
  for (; i < bytes; ++i) {
    scratch.row[i] = 0;
    for (std::int64_t k = 0; k < count; ++k) {
      scratch.row[i] += scratch.weight[k] * static_cast<float>(first[i + k * step]);
    }
  }
  fuseg::fill_n(scratch.row + bytes, job.pixel_bytes * tables.summary->most + 4, 0.0f);
}

template <typename T>
void average_line(const PackColor& job, const LineTables& tables, const float* row,
                  const Planes<T>& planes) {
  const Sink<T> sink(planes, 1);
  const LineTables t = tables;
  const std::int64_t positions = axes_of(job.geometry).along.out;
  const std::int64_t most = t.summary->most;
  for (std::int64_t x = 0; x < positions; x += kLanes) {
    if (positions >= kLanes) x = fuseg::min(x, positions - kLanes);
    const int count = static_cast<int>(fuseg::min<std::int64_t>(kLanes, positions - x));
    std::int32_t offset[kLanes];
    for (int i = 0; i < kLanes; ++i) offset[i] = t.offset[x + fuseg::min(i, count - 1)];
    Floats v[4] = {all(0.0f), all(0.0f), all(0.0f), all(0.0f)};
    for (std::int64_t k = 0; k < most; ++k) {
      const Floats weights = load_some(t.weight + k * positions + x, count);
      for (int j = 0; j < 4; ++j) {
        const Floats four = load_fours(row + k * job.pixel_bytes, offset + j);
        v[j] = fma(spread(weights, j), four, v[j]);
      }
    }
    transpose(v);
    if (job.pixel_bytes == 1) v[1] = v[2] = v[0];
    if (count == kLanes) {
      sink.take(x, v[0], v[1], v[2]);
      continue;
    }
    for (int c = 0; c < 3; ++c) {
      T lanes[kLanes];
      put(lanes, fma(v[c], sink.multiply[c], sink.add[c]));
      fuseg::copy_n(lanes, count, sink.out[c] + x);
    }
  }
}

}  // namespace
}  // namespace fuseg::FUSEG_LEVEL
