#include "cuda/device.cuh"
#include "cuda/weighted_tap.cuh"
#include "pack_depth/pack_depth.h"

namespace fuseg {
namespace {

constexpr int kThreads = 256;
constexpr int kTileWidth = 128;
constexpr int kTileHeight = 16;
constexpr int kAtOnce = 4;  // elements of a thread

// The taps of a tile's columns and rows of the output; `near` is negative beside the
// picture.
struct Tile {
  TapPair column[kTileWidth];
  TapPair row[kTileHeight];
};

__device__ TapPair tap_pair_in_picture(const AxisMap& side, std::int64_t at,
                                       Filter filter) {
  if (at < 0 || at >= side.out) return {-1, -1, 0.0f, 0.0f};
  if (filter != Filter::kBilinear) {
    const std::int64_t only = nearest_tap(at, side.in, side.out, filter);
    const auto index = static_cast<std::int32_t>(side.frame(only));
    return {index, index, 1.0f, 0.0f};
  }
  const WeightedTap tap = weighted_tap(affine_axis(side.in, side.out), at, side.in);
  const std::int64_t next = tap.second > 0.0f ? tap.index + 1 : tap.index;
  return {static_cast<std::int32_t>(side.frame(tap.index)),
          static_cast<std::int32_t>(side.frame(next)), tap.first, tap.second};
}

template <typename In>
__device__ float raw_at(const PackDepth& job, std::int64_t y, std::int64_t x) {
  const auto* row = static_cast<const std::uint8_t*>(job.frame) + y * job.row_bytes;
  return static_cast<float>(__ldg(reinterpret_cast<const In*>(row) + x));
}

// NaN where there is no reading.
template <typename In>
__device__ float raw_of(const PackDepth& job, const TapPair& row,
                        const TapPair& column) {
  if (job.filter != Filter::kBilinear) {
    const float raw = raw_at<In>(job, row.near, column.near);
    return is_reading(raw, job) ? raw : NAN;
  }
  const float tap[2][2] = {
      {raw_at<In>(job, row.near, column.near), raw_at<In>(job, row.near, column.far)},
      {raw_at<In>(job, row.far, column.near), raw_at<In>(job, row.far, column.far)}};
  return blend(tap, row, column, job);
}

__device__ void put(float value, float* out) { *out = value; }
__device__ void put(float value, Half* out) { *out = nearest_half(value); }
__device__ void put(float value, std::int8_t* out) { *out = depth_to_int8(value); }

// A block fills one tile. Where its rows and columns lie in the frame is worked out
// once; then every thread reads and writes four elements. Neighbours are those of a
// warp, so that it reads and writes side by side.
template <typename In, typename Out, bool kGrouped>
__global__ void __launch_bounds__(kThreads, 4)
    pack_depth_kernel(const __grid_constant__ PackDepth job) {
  Tile& tile = shared<Tile>();
  const Geometry& g = job.geometry;
  const int thread = static_cast<int>(threadIdx.x);                 // 0 to 255
  const std::int64_t left = std::int64_t{blockIdx.x} * kTileWidth;  // of the tile
  const std::int64_t top = std::int64_t{blockIdx.y} * kTileHeight;

  // Phase 1: where the columns and rows of the tile lie in the frame. Threads 0 to 127
  // take a column each, threads 128 to 143 a row each.
  if (thread < kTileWidth) {
    tile.column[thread] =
        tap_pair_in_picture(g.columns(), left + thread - g.picture_left, job.filter);
  } else if (thread < kTileWidth + kTileHeight) {
    const int row = thread - kTileWidth;  // 0 to 15
    tile.row[row] =
        tap_pair_in_picture(g.rows(), top + row - g.picture_top, job.filter);
  }
  __syncthreads();

  // Phase 2: a thread makes four elements of one row, twice: rows 0 to 7 and 8 to 15.
  // Element k of them is column `first` + k * kApart of the tile.
  constexpr int kApart = kTileWidth / kAtOnce;  // 32
  for (int i = thread; i < kTileHeight * kTileWidth / kAtOnce; i += kThreads) {
    const int row = i / kApart;    // 0 to 15
    const int first = i % kApart;  // 0 to 31
    const std::int64_t y = top + row;
    const std::int64_t x = left + first;
    if (y >= g.out_height || x >= g.out_width) continue;
    const TapPair down = tile.row[row];
    Out value[kAtOnce];
    std::uint8_t valid[kAtOnce];
#pragma unroll
    for (int k = 0; k < kAtOnce; ++k) {
      const TapPair across = tile.column[first + k * kApart];
      float raw = NAN;
      if (down.near >= 0 && across.near >= 0) {
        raw = g.transposed() ? raw_of<In>(job, across, down)
                             : raw_of<In>(job, down, across);
      }
      valid[k] = raw == raw;
      put(raw == raw ? normalised(raw, job) : job.fill, value + k);
    }

    // Phase 3: and stores them, `count` of the four if the output ends there.
    const std::int64_t at = y * g.out_width + x;
    const auto count =
        static_cast<int>(min(ceil_div(g.out_width - x, kApart), std::int64_t{kAtOnce}));
    constexpr int kStep = kGrouped ? int{OutPlanes<1>::kGroup} : 1;
    Out* out = static_cast<Out*>(job.out) + job.planes.start[0];
    store_apart<kApart * kStep>(out + at * kStep, value, count);
    if (job.valid != nullptr) store_apart<kApart>(job.valid + at, valid, count);
  }
}

template <typename In, typename Out, bool kGrouped = false>
void start(const PackDepth& job, CUstream_st* stream) {
  const dim3 blocks(
      static_cast<unsigned>(ceil_div(job.geometry.out_width, kTileWidth)),
      static_cast<unsigned>(ceil_div(job.geometry.out_height, kTileHeight)));
  launch("pack_depth", pack_depth_kernel<In, Out, kGrouped>, blocks, kThreads, 0,
         stream, job);
}

template <typename In>
void start(const PackDepth& job, CUstream_st* stream) {
  switch (job.out_type) {
    case PackDepth::Out::kFloat32:
      return start<In, float>(job, stream);
    case PackDepth::Out::kFloat16:
      return job.planes.step == 1 ? start<In, Half>(job, stream)
                                  : start<In, Half, true>(job, stream);
    case PackDepth::Out::kInt8:
      return job.planes.step == 1 ? start<In, std::int8_t>(job, stream)
                                  : start<In, std::int8_t, true>(job, stream);
  }
}

}  // namespace

void pack_depth_cuda(const PackDepth& job, CUstream_st* stream) {
  if (job.geometry.out_height * job.geometry.out_width == 0) return;
  switch (job.in) {
    case PackDepth::In::kUint8:
      return start<std::uint8_t>(job, stream);
    case PackDepth::In::kUint16:
      return start<std::uint16_t>(job, stream);
    case PackDepth::In::kFloat32:
      return start<float>(job, stream);
  }
}

}  // namespace fuseg
