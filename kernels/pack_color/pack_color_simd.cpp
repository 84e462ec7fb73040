#include <cmath>
#include <cstdint>

#include "common/scalar.h"
#include "common/threads.h"
#include "pack_color/line_tables.h"
#include "pack_color/lines.h"
#include "pack_color/pack_color.h"
#include "pack_color/pixel_groups.h"

namespace fuseg::FUSEG_LEVEL {
namespace {

#if defined(__AVX512VBMI__)

// The bytes of a row that a window reads.
template <bool kHalves>
struct Bytes {
  __m512i a, b, c, d;

  Bytes(const std::uint8_t* row, const Window& w) {
    a = _mm512_loadu_si512(row + w.base[0]);
    b = _mm512_loadu_si512(row + w.base[0] + 64);
    if constexpr (kHalves) {
      c = _mm512_loadu_si512(row + w.base[1]);
      d = _mm512_loadu_si512(row + w.base[1] + 64);
    }
  }

  // Those at `index`, where `mask` has a bit, and 0 elsewhere.
  __m512i at(__m512i index, __mmask64 mask) const {
    if constexpr (!kHalves) return _mm512_maskz_permutex2var_epi8(mask, a, index, b);
    const __mmask64 low = mask & 0xffffffff;
    return _mm512_or_si512(_mm512_maskz_permutex2var_epi8(low, a, index, b),
                           _mm512_maskz_permutex2var_epi8(mask ^ low, c, index, d));
  }
};

// 16 positions at a time from 128 bytes of each row, or twice eight.
template <typename T, int kBytes, TapKind kTapKind, bool kTwoRows, bool kHalves>
void window_line(const LineTables& tables, std::int64_t, std::int64_t, const Rows& rows,
                 const Planes<T>& planes) {
  constexpr __mmask64 kMask =
      kTapKind == TapKind::kOne ? 0x1111111111111111 : 0x5555555555555555;
  const Sink<T> sink(planes, unit_of(kTapKind));
  const Floats across = all(rows.fraction);
  const std::uint8_t *const above = rows.above, *const below = rows.below;
  const LineTables t = tables;
  const Window* const end = t.windows + t.summary->windows;
  for (const Window* w = t.windows; w < end; ++w) {
    const Bytes<kHalves> over(above, *w), under(kTwoRows ? below : above, *w);
    const std::int64_t x = w->x;
    const Ints index = _mm512_load_si512(w->index);
    for (int i = 0; i < (kHalves ? 4 : 2); ++i) {
      prefetch<kTwoRows>(rows, w->base[i / 2] + i % 2 * 64);
    }
    const Ints pair = load(t.pair + x), rest = load(t.rest + x);
    const auto channel = [&](int c) {
      const Ints at = _mm512_add_epi8(index, _mm512_set1_epi8(c));
      const Floats v = blend<kTapKind>(over.at(at, kMask), pair, rest);
      if constexpr (!kTwoRows) return v;
      const Floats u = blend<kTapKind>(under.at(at, kMask), pair, rest);
      return fma(across, sub(u, v), v);
    };
    const Floats v = channel(0);
    if constexpr (kBytes == 1) {
      sink.take(x, v, v, v);
    } else {
      sink.take(x, v, channel(1), channel(2));
    }
  }
}

constexpr bool kHasWindows = true;

#else

template <typename T, int kBytes, TapKind kTapKind, bool kTwoRows, bool kHalves>
constexpr LineKernel<T> window_line = nullptr;

constexpr bool kHasWindows = false;

#endif

template <typename T, int kBytes, TapKind kTapKind, bool kTwoRows>
LineKernel<T> kernel_for(const Summary& summary) {
  if (!kHasWindows || summary.windows == 0) {
    return pixel_line<T, kBytes, kTapKind, kTwoRows>;
  }
  return summary.halves ? window_line<T, kBytes, kTapKind, kTwoRows, true>
                        : window_line<T, kBytes, kTapKind, kTwoRows, false>;
}

// Two blended pixels of one row are as well blended from that row twice.
template <typename T, int kBytes>
LineKernel<T> kernel_for(const Summary& summary, bool two_rows) {
  switch (summary.tap_kind) {
    case TapKind::kOne:
      return two_rows ? kernel_for<T, kBytes, TapKind::kOne, true>(summary)
                      : kernel_for<T, kBytes, TapKind::kOne, false>(summary);
    case TapKind::kExact:
      return kernel_for<T, kBytes, TapKind::kExact, true>(summary);
    default:
      return kernel_for<T, kBytes, TapKind::kFine, true>(summary);
  }
}

// How the lines of a job are made.
template <typename T>
struct Maker {
  const PackColor& job;
  LineTables tables;
  std::int64_t positions;
  LineKernel<T> one_row;
  LineKernel<T> two_rows;
  std::int64_t first;  // the positions that the kernel may make
  std::int64_t end;
  std::int64_t ahead;  // lines

  template <int kBytes>
  void choose_kernel() {
    first = 0;
    end = positions;
    ahead = 1 + kBytesAhead / (2 * job.geometry.width * job.pixel_bytes);
    if (averages(job)) return;
    one_row = kernel_for<T, kBytes>(*tables.summary, false);
    two_rows = kernel_for<T, kBytes>(*tables.summary, true);
    if (kHasWindows && tables.summary->windows > 0) return;
    const std::int64_t last = last_load(job);
    while (first < end && tables.offset[first] > last) ++first;
    while (end > first && tables.offset[end - 1] > last) --end;
    if (end - first < kLanes) end = first;
  }

  explicit Maker(const PackColor& job)
      : job(job), tables(tables_of(job)), positions(axes_of(job.geometry).along.out) {
    if (job.pixel_bytes == 1) choose_kernel<1>();
    if (job.pixel_bytes == 3) choose_kernel<3>();
    if (job.pixel_bytes == 4) choose_kernel<4>();
  }

  void make(const AxisMap& across, std::int64_t line, const LineScratch& scratch,
            T* out, std::int64_t plane) const {
    const Planes<T> planes(job, out, plane);
    if (averages(job)) {
      average_rows(job, tables, across, line, scratch);
      average_line(job, tables, scratch.row, planes);
      return;
    }
    const Rows rows = rows_of(job, across, line, ahead);
    single_positions(job, tables, 0, first, rows, planes);
    const LineKernel<T> kernel = rows.fraction > 0 ? two_rows : one_row;
    if (end > first) kernel(tables, first, end, rows, planes);
    single_positions(job, tables, end, positions, rows, planes);
  }
};

// Lines of the strip to columns of the output.
template <typename T>
void turn(const T* strip, std::int64_t lines, std::int64_t positions, T* out,
          const Target& target) {
  for (std::int64_t p = 0; p < 3; ++p) {
    for (std::int64_t x = 0; x < positions; ++x) {
      T* to = out + p * target.plane + x * target.along;
      const T* from = strip + p * kStrip * positions + x;
      for (std::int64_t i = 0; i < lines; ++i) to[i] = from[i * positions];
    }
  }
}

template <typename T>
void fill_padding(const PackColor& job, T* out) {
  const Geometry& g = job.geometry;
  if (g.picture_height == g.out_height && g.picture_width == g.out_width) return;
  const auto fill = [&](T* to, std::int64_t count) {
    T lanes[kLanes];
    put(lanes, all(job.fill));
    for (; count >= kLanes; to += kLanes, count -= kLanes) put(to, all(job.fill));
    fuseg::copy_n(lanes, count, to);
  };
  const std::int64_t right = g.picture_left + g.picture_width;
  for (std::int64_t i = 0; i < 3 * g.out_height; ++i) {
    T* row = out + i * g.out_width;
    const std::int64_t y = i % g.out_height - g.picture_top;
    if (y < 0 || y >= g.picture_height) {
      fill(row, g.out_width);
    } else {
      fill(row, g.picture_left);
      fill(row + right, g.out_width - right);
    }
  }
}

template <typename T>
void pack(const PackColor& job) {
  T* out = static_cast<T*>(job.out);
  fill_padding(job, out);
  const Maker<T> maker(job);
  const AxisMap across = axes_of(job.geometry).across;
  const Target target = target_of(job.geometry);
  const bool turned = job.geometry.transposed();
  out += target.first;
  in_bands(across.out, job.threads, turned ? kStrip : 1,
           [&](int part, std::int64_t first, std::int64_t end) {
             const LineScratch scratch = line_scratch_of(job, part);
             if (!turned) {
               for (std::int64_t y = first; y < end; ++y) {
                 maker.make(across, y, scratch, out + y * target.across, target.plane);
               }
               return;
             }
             T* strip = static_cast<T*>(scratch.strip);
             for (std::int64_t y = first; y < end; y += kStrip) {
               const std::int64_t lines = fuseg::min(kStrip, end - y);
               for (std::int64_t i = 0; i < lines; ++i) {
                 maker.make(across, y + i, scratch, strip + i * maker.positions,
                            kStrip * maker.positions);
               }
               turn(strip, lines, maker.positions, out + y, target);
             }
           });
}

}  // namespace

void pack_color_simd(const PackColor& job) {
  if (job.planes.step != 1) return pack_color_cpu(job);  // a GPU's layout
  // Further than an int32 reaches, int8 would not saturate.
  for (int p = 0; p < 3 && job.element == PackColor::Element::kInt8; ++p) {
    const float most = 255 * fabsf(job.multiply[p]) + fabsf(job.add[p]);
    if (fuseg::max(most, fabsf(job.fill)) > 1e9f) return pack_color_cpu(job);
  }
  switch (job.element) {
    case PackColor::Element::kFloat32:
      return pack<float>(job);
    case PackColor::Element::kFloat16:
      return pack<Half>(job);
    case PackColor::Element::kInt8:
      return pack<std::int8_t>(job);
  }
}

}  // namespace fuseg::FUSEG_LEVEL
