#include "cuda/device.cuh"
#include "cuda/weighted_tap.cuh"
#include "pack_color/pack_color.h"

namespace fuseg {
namespace {

constexpr int kThreads = 256;
constexpr int kTileWidth = 64;
constexpr int kTileHeight = 16;
constexpr int kAtOnce = 4;  // pixels of a thread

// What one position of the output reads along its axis of the frame: `count` pixels
// from `first` on, every `step`; none beside the picture. Weights are those of a
// FilterSupport, or with two pixels and no antialiasing, 1 - fraction and fraction.
struct FrameSpan {
  std::int32_t first;
  std::int32_t count;
  std::int32_t step;
  float fraction;
  float
      from_centre;  // of the first pixel, in the support's units: all are whole numbers
  float spacing;
  float reach;
  float share;  // of one unit of weight

  __device__ float weight(int k) const {
    return (reach - fabsf(from_centre + static_cast<float>(k) * spacing)) * share;
  }
};

__device__ FrameSpan frame_span_of(const AxisMap& side, std::int64_t at,
                                   Filter filter) {
  FrameSpan span{};
  if (at < 0 || at >= side.out) return span;
  span.step = 1;
  span.count = 1;
  if (filter == Filter::kNearest || filter == Filter::kNearestExact) {
    const std::int64_t only = nearest_tap(at, side.in, side.out, filter);
    span.first = static_cast<std::int32_t>(side.frame(only));
    return span;
  }
  if (filter == Filter::kBilinear) {
    // In the frame's order whichever way the axis runs.
    const WeightedTap tap = weighted_tap(affine_axis(side.in, side.out), at, side.in);
    const bool two = tap.second > 0.0f, back = side.step < 0;
    span.first = static_cast<std::int32_t>(side.frame(tap.index + (two && back)));
    span.fraction = two && back ? tap.first : tap.second;
    span.count = two ? 2 : 1;
    return span;
  }
  const FilterSupport support = filter_support(at, side.in, side.out);
  span.first = static_cast<std::int32_t>(side.frame(support.first));
  span.count = static_cast<std::int32_t>(support.end - support.first);
  span.step = static_cast<std::int32_t>(side.step);
  span.from_centre =
      static_cast<float>((2 * support.first + 1) * support.step - support.centre);
  span.spacing = static_cast<float>(2 * support.step);
  span.reach = static_cast<float>(support.reach);
  span.share = 1.0f / static_cast<float>(support.total);
  return span;
}

struct Tile {
  FrameSpan column[kTileWidth];
  FrameSpan row[kTileHeight];
};

struct Pixel {
  float channel[3];
};

// kWords: pixels are of four bytes, at multiples of four, and are read at once.
template <bool kWords>
__device__ Pixel load_pixel(const PackColor& job, std::int64_t y, std::int64_t x) {
  const std::uint8_t* at = job.frame + y * job.row_bytes + x * job.pixel_bytes;
  if constexpr (kWords) {
    const std::uint32_t word = __ldg(reinterpret_cast<const std::uint32_t*>(at));
    Pixel pixel;
#pragma unroll
    for (int p = 0; p < 3; ++p) {
      pixel.channel[p] = static_cast<float>(word >> 8 * job.channel[p] & 255);
    }
    return pixel;
  }
  return {{static_cast<float>(__ldg(at + job.channel[0])),
           static_cast<float>(__ldg(at + job.channel[1])),
           static_cast<float>(__ldg(at + job.channel[2]))}};
}

__device__ Pixel between(const Pixel& a, const Pixel& b, float fraction) {
  Pixel mixed;
#pragma unroll
  for (int p = 0; p < 3; ++p) {
    mixed.channel[p] = a.channel[p] + fraction * (b.channel[p] - a.channel[p]);
  }
  return mixed;
}

template <bool kWords>
__device__ Pixel blended(const PackColor& job, const FrameSpan& down,
                         const FrameSpan& across) {
  const std::int64_t y = down.first, below = y + down.count - 1;
  const std::int64_t x = across.first, right = x + across.count - 1;
  const Pixel upper = between(load_pixel<kWords>(job, y, x),
                              load_pixel<kWords>(job, y, right), across.fraction);
  if (down.count == 1) return upper;
  const Pixel lower = between(load_pixel<kWords>(job, below, x),
                              load_pixel<kWords>(job, below, right), across.fraction);
  return between(upper, lower, down.fraction);
}

template <bool kWords>
__device__ Pixel averaged(const PackColor& job, const FrameSpan& down,
                          const FrameSpan& across) {
  Pixel sum{};
  for (int i = 0; i < down.count; ++i) {
    Pixel row{};
    for (int k = 0; k < across.count; ++k) {
      const Pixel pixel = load_pixel<kWords>(job, down.first + i * down.step,
                                             across.first + k * across.step);
      const float weight = across.weight(k);
#pragma unroll
      for (int p = 0; p < 3; ++p) row.channel[p] += weight * pixel.channel[p];
    }
    const float weight = down.weight(i);
#pragma unroll
    for (int p = 0; p < 3; ++p) sum.channel[p] += weight * row.channel[p];
  }
  return sum;
}

__device__ void put(float* to, float value) { *to = value; }
__device__ void put(Half* to, float value) { *to = nearest_half(value); }
__device__ void put(std::int8_t* to, float value) { *to = to_int8(value); }

template <typename Out>
struct alignas(2 * sizeof(Out)) Pair {
  Out value[2];
};

template <typename Out>
__device__ bool make_a_pair(const Out* first, const Out* second) {
  return first + 1 == second &&
         reinterpret_cast<std::uintptr_t>(first) % sizeof(Pair<Out>) == 0;
}

// Pixels of groups of four, every kApart-th. The fourth channel may be another kernel's
// work, so two are written together where they can be, and never all four.
template <int kApart, typename Out, int kCount>
__device__ void store_in_groups(const PackColor& job, std::int64_t at, int count,
                                const Out (&value)[3][kCount]) {
  constexpr std::int64_t kGroup = OutPlanes<3>::kGroup;
  auto* out = static_cast<Out*>(job.out) + at * kGroup;
  Out* to[3];
#pragma unroll
  for (int p = 0; p < 3; ++p) to[p] = out + job.planes.start[p];
  const bool front = make_a_pair(to[0], to[1]);
  const bool back = !front && make_a_pair(to[1], to[2]);
#pragma unroll
  for (int k = 0; k < kCount; ++k) {
    if (k >= count) break;
    const int i = k * kApart * static_cast<int>(kGroup);
    if (front) {
      *reinterpret_cast<Pair<Out>*>(to[0] + i) = {{value[0][k], value[1][k]}};
    } else {
      to[0][i] = value[0][k];
    }
    if (back) {
      *reinterpret_cast<Pair<Out>*>(to[1] + i) = {{value[1][k], value[2][k]}};
    } else {
      if (!front) to[1][i] = value[1][k];
      to[2][i] = value[2][k];
    }
  }
}

// A block fills one tile of all three planes. Where its rows and columns lie in the
// frame is worked out once; then every thread reads what four pixels need. Neighbours
// are those of a warp, so that it reads and writes side by side.
template <typename Out, bool kGrouped, bool kWords>
__global__ void __launch_bounds__(kThreads, 4)
    pack_color_kernel(const __grid_constant__ PackColor job) {
  Tile& tile = shared<Tile>();
  const Geometry& g = job.geometry;
  const int thread = static_cast<int>(threadIdx.x);                 // 0 to 255
  const std::int64_t left = std::int64_t{blockIdx.x} * kTileWidth;  // of the tile
  const std::int64_t top = std::int64_t{blockIdx.y} * kTileHeight;

  // Phase 1: what the columns and rows of the tile read of the frame. Threads 0 to 63
  // take a column each, threads 64 to 79 a row each.
  if (thread < kTileWidth) {
    tile.column[thread] =
        frame_span_of(g.columns(), left + thread - g.picture_left, job.filter);
  } else if (thread < kTileWidth + kTileHeight) {
    const int row = thread - kTileWidth;  // 0 to 15
    tile.row[row] = frame_span_of(g.rows(), top + row - g.picture_top, job.filter);
  }
  __syncthreads();

  // Phase 2: a thread makes four pixels of one row, kApart apart: its pixel k is column
  // `first` + k * kApart of the tile.
  constexpr int kApart = kTileWidth / kAtOnce;  // 16
  const int row = thread / kApart;              // 0 to 15
  const int first = thread % kApart;            // 0 to 15
  const std::int64_t y = top + row;
  const std::int64_t x = left + first;
  if (y >= g.out_height || x >= g.out_width) return;
  const FrameSpan& down = tile.row[row];
  Out value[3][kAtOnce];
#pragma unroll
  for (int k = 0; k < kAtOnce; ++k) {
    const FrameSpan& across = tile.column[first + k * kApart];
    if (down.count == 0 || across.count == 0) {
#pragma unroll
      for (int p = 0; p < 3; ++p) put(&value[p][k], job.fill);
      continue;
    }
    const FrameSpan& lines = g.transposed() ? across : down;
    const FrameSpan& along = g.transposed() ? down : across;
    const Pixel pixel = job.filter == Filter::kAntialias
                            ? averaged<kWords>(job, lines, along)
                            : blended<kWords>(job, lines, along);
#pragma unroll
    for (int p = 0; p < 3; ++p) {
      put(&value[p][k], pixel.channel[p] * job.multiply[p] + job.add[p]);
    }
  }

  // Phase 3: the same thread stores them, `count` of the four if the output ends there.
  const std::int64_t at = y * g.out_width + x;
  const auto count =
      static_cast<int>(min(ceil_div(g.out_width - x, kApart), std::int64_t{kAtOnce}));
  if constexpr (kGrouped) {
    store_in_groups<kApart>(job, at, count, value);
  } else {
#pragma unroll
    for (int p = 0; p < 3; ++p) {
      Out* to = static_cast<Out*>(job.out) + job.planes.start[p] + at;
      store_apart<kApart>(to, value[p], count);
    }
  }
}

template <typename Out, bool kGrouped = false>
void start(const PackColor& job, CUstream_st* stream) {
  static_assert(kTileWidth * kTileHeight == kThreads * kAtOnce);
  const dim3 blocks(
      static_cast<unsigned>(ceil_div(job.geometry.out_width, kTileWidth)),
      static_cast<unsigned>(ceil_div(job.geometry.out_height, kTileHeight)));
  const bool words = job.pixel_bytes == 4 && job.row_bytes % 4 == 0 &&
                     reinterpret_cast<std::uintptr_t>(job.frame) % 4 == 0;
  const auto kernel = words ? pack_color_kernel<Out, kGrouped, true>
                            : pack_color_kernel<Out, kGrouped, false>;
  launch("pack_color", kernel, blocks, kThreads, 0, stream, job);
}

}  // namespace

void pack_color_cuda(const PackColor& job, CUstream_st* stream) {
  if (job.geometry.out_height * job.geometry.out_width == 0) return;
  switch (job.element) {
    case PackColor::Element::kFloat32:
      return start<float>(job, stream);
    case PackColor::Element::kFloat16:
      return job.planes.step == 1 ? start<Half>(job, stream)
                                  : start<Half, true>(job, stream);
    case PackColor::Element::kInt8:
      return job.planes.step == 1 ? start<std::int8_t>(job, stream)
                                  : start<std::int8_t, true>(job, stream);
  }
}

}  // namespace fuseg
