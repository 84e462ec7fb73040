#include <algorithm>
#include <cstdint>

#include "common/pixels.h"
#include "common/threads.h"
#include "pack_color/antialias.h"
#include "pack_color/pack_color.h"
#include "pack_color/tables.h"

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

  void put(int c, std::int64_t x, Floats v) const {
    store(out[c] + x, fma(v, multiply[c], add[c]));
  }
};

template <typename T>
using LineKernel = void (*)(const Tables&, std::int64_t, std::int64_t, const Rows&,
                            const Planes<T>&);

// Positions first to end, kLanes at least, each from eight bytes of the row.
template <typename T, int kBytes>
void pixel_line(const Tables& tables, std::int64_t first, std::int64_t end,
                const Rows& rows, const Planes<T>& planes) {
  constexpr std::uint8_t no = 0x80, n = kBytes;
  constexpr std::uint8_t c1 = kBytes == 1 ? 0 : 1, c2 = kBytes == 1 ? 0 : 2;
  const std::uint8_t near[16] = {0,  no, no, no, c1, no, no, no,
                                 c2, no, no, no, no, no, no, no};
  const std::uint8_t far[16] = {n,      no, no, no, n + c1, no, no, no,
                                n + c2, no, no, no, no,     no, no, no};
  const Sink<T> sink(planes, 1);
  const Floats across = all(rows.fraction);
  const std::uint8_t *const above = rows.above, *const below = rows.below;
  const std::int32_t* const offset = tables.offset;
  const float* const fraction = tables.fraction;
  for (std::int64_t x = first; x < end; x += kLanes) {
    x = std::min(x, end - kLanes);
    const Floats fractions = load(fraction + x);
    Floats v[4];
    for (int j = 0; j < 4; ++j) {
      const Floats along = spread(fractions, j);
      const auto blend = [&](const std::uint8_t* row) {
        const Ints bytes = load_groups(row, offset + x + j);
        const Floats a = to_floats(choose(bytes, near));
        return fma(along, sub(to_floats(choose(bytes, far)), a), a);
      };
      const Floats over = blend(above);
      v[j] = fma(across, sub(blend(below), over), over);
    }
    transpose(v);
    for (int c = 0; c < 3; ++c) sink.put(c, x, v[c]);
  }
}

// Positions whose eight bytes would leave the row, and what is left of narrow pictures.
template <typename T>
void single_positions(const PackColor& job, const Tables& tables, std::int64_t first,
                      std::int64_t end, const Rows& rows, const Planes<T>& planes) {
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
      store(lanes, all(pixel * planes.multiply[c] + planes.add[c]));
      planes.out[c][x] = lanes[0];
    }
  }
}

template <typename T>
void average_line(const PackColor& job, const Tables& tables, const float* row,
                  std::int64_t positions, const Planes<T>& planes) {
  const Sink<T> sink(planes, 1);
  for (std::int64_t x = 0; x < positions; x += kLanes) {
    alignas(64) float pixels[4 * kLanes];
    const std::int64_t count = std::min<std::int64_t>(kLanes, positions - x);
    for (std::int64_t i = 0; i < kLanes; ++i) {
      Four four =
          average_columns(tables, job.pixel_bytes, row, x + std::min(i, count - 1));
      if (job.pixel_bytes == 1) four = Four{four[0], four[0], four[0], 0};
      std::memcpy(pixels + i % 4 * kLanes + i / 4 * 4, &four, sizeof four);
    }
    Floats v[4];
    for (int j = 0; j < 4; ++j) v[j] = load(pixels + j * kLanes);
    transpose(v);
    for (int c = 0; c < 3; ++c) {
      if (count == kLanes) {
        sink.put(c, x, v[c]);
        continue;
      }
      T lanes[kLanes];
      store(lanes, fma(v[c], sink.multiply[c], sink.add[c]));
      std::copy_n(lanes, count, sink.out[c] + x);
    }
  }
}

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

// Sixteen positions at a time from 128 bytes of each row, or twice eight.
template <typename T, int kBytes, Taps kTaps, bool kHalves, bool kTwoRows>
void window_line(const Tables& tables, std::int64_t, std::int64_t, const Rows& rows,
                 const Planes<T>& planes) {
  constexpr __mmask64 kMask =
      kTaps == Taps::kOne ? 0x1111111111111111 : 0x5555555555555555;
  const Sink<T> sink(planes, kTaps == Taps::kOne     ? 1.0f
                             : kTaps == Taps::kExact ? 16384.0f
                                                     : 4194304.0f);
  const Floats across = all(rows.fraction);
  const std::uint8_t *const above = rows.above, *const below = rows.below;
  const Window* w = tables.windows;
  const Window* const end = w + tables.summary->windows;
  for (; w < end; ++w) {
    const Bytes<kHalves> over(above, *w), under(kTwoRows ? below : above, *w);
    const __m512i index = _mm512_load_si512(w->index);
    const __m512i weight = _mm512_load_si512(w->weight);
    const __m512i rest = _mm512_load_si512(w->rest);
    const std::int64_t x = w->x;
    const auto blend = [&](const Bytes<kHalves>& bytes, __m512i at) {
      const __m512i pixels = bytes.at(at, kMask);
      if constexpr (kTaps == Taps::kOne) return _mm512_cvtepi32_ps(pixels);
      __m512i sum = _mm512_madd_epi16(pixels, weight);
      if constexpr (kTaps == Taps::kFine) {
        sum = _mm512_dpwssd_epi32(_mm512_slli_epi32(sum, 8), pixels, rest);
      }
      return _mm512_cvtepi32_ps(sum);
    };
    Floats v{};
    for (int c = 0; c < 3; ++c) {
      if (kBytes > 1 || c == 0) {
        const __m512i at = _mm512_add_epi8(index, _mm512_set1_epi8(c));
        v = blend(over, at);
        if constexpr (kTwoRows) v = fma(across, sub(blend(under, at), v), v);
      }
      sink.put(c, x, v);
    }
  }
}

template <typename T, int kBytes, Taps kTaps>
LineKernel<T> window_kernel(const Summary& summary, bool two_rows) {
  if (kTaps != Taps::kOne || two_rows) {
    return summary.halves ? window_line<T, kBytes, kTaps, true, true>
                          : window_line<T, kBytes, kTaps, false, true>;
  }
  return summary.halves ? window_line<T, kBytes, Taps::kOne, true, false>
                        : window_line<T, kBytes, Taps::kOne, false, false>;
}

template <typename T, int kBytes>
LineKernel<T> window_kernel(const Summary& summary, bool two_rows) {
  switch (summary.taps) {
    case Taps::kOne:
      return window_kernel<T, kBytes, Taps::kOne>(summary, two_rows);
    case Taps::kExact:
      return window_kernel<T, kBytes, Taps::kExact>(summary, two_rows);
    default:
      return window_kernel<T, kBytes, Taps::kFine>(summary, two_rows);
  }
}

constexpr bool kHasWindows = true;

#else

template <typename T, int kBytes>
LineKernel<T> window_kernel(const Summary&, bool) {
  return nullptr;
}

constexpr bool kHasWindows = false;

#endif

// How the lines of a job are made.
template <typename T>
struct Maker {
  const PackColor& job;
  Tables tables;
  std::int64_t positions;
  LineKernel<T> one_row;
  LineKernel<T> two_rows;
  std::int64_t first;  // the positions that the kernel may make
  std::int64_t end;

  template <int kBytes>
  void choose_kernel() {
    one_row = two_rows = pixel_line<T, kBytes>;
    first = 0;
    end = positions;
    if (averages(job)) return;
    if (kHasWindows && tables.summary->windows > 0) {
      one_row = window_kernel<T, kBytes>(*tables.summary, false);
      two_rows = window_kernel<T, kBytes>(*tables.summary, true);
      return;
    }
    const std::int64_t last = last_load(job);
    while (first < end && tables.offset[first] > last) ++first;
    while (end > first && tables.offset[end - 1] > last) --end;
    if (end - first < kLanes) end = first;
  }

  explicit Maker(const PackColor& job)
      : job(job), tables(tables_of(job)), positions(sides_of(job.geometry).along.out) {
    if (job.pixel_bytes == 1) choose_kernel<1>();
    if (job.pixel_bytes == 3) choose_kernel<3>();
    if (job.pixel_bytes == 4) choose_kernel<4>();
  }

  void make(const Side& across, std::int64_t line, const Desk& desk, T* out,
            std::int64_t plane) const {
    const Planes<T> planes(job, out, plane);
    if (averages(job)) {
      average_rows(job, across, line, desk.row);
      average_line(job, tables, desk.row, positions, planes);
      return;
    }
    const Rows rows = rows_of(job, across, line);
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
  T lanes[kLanes];
  store(lanes, all(job.fill));
  const std::int64_t right = g.picture_left + g.picture_width;
  for (std::int64_t i = 0; i < 3 * g.out_height; ++i) {
    T* row = out + i * g.out_width;
    const std::int64_t y = i % g.out_height - g.picture_top;
    if (y < 0 || y >= g.picture_height) {
      std::fill_n(row, g.out_width, lanes[0]);
    } else {
      std::fill_n(row, g.picture_left, lanes[0]);
      std::fill_n(row + right, g.out_width - right, lanes[0]);
    }
  }
}

template <typename T>
void pack(const PackColor& job) {
  T* out = static_cast<T*>(job.out);
  fill_padding(job, out);
  const Maker<T> maker(job);
  const Side across = sides_of(job.geometry).across;
  const Target target = target_of(job.geometry);
  const bool turned = job.geometry.transposed();
  out += target.first;
  in_bands(across.out, job.threads, turned ? kStrip : 1,
           [&](int part, std::int64_t first, std::int64_t end) {
             const Desk desk = desk_of(job, part);
             if (!turned) {
               for (std::int64_t y = first; y < end; ++y) {
                 maker.make(across, y, desk, out + y * target.across, target.plane);
               }
               return;
             }
             T* strip = static_cast<T*>(desk.strip);
             for (std::int64_t y = first; y < end; y += kStrip) {
               const std::int64_t lines = std::min(kStrip, end - y);
               for (std::int64_t i = 0; i < lines; ++i) {
                 maker.make(across, y + i, desk, strip + i * maker.positions,
                            kStrip * maker.positions);
               }
               turn(strip, lines, maker.positions, out + y, target);
             }
           });
}

}  // namespace

void pack_color_simd(const PackColor& job) {
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
