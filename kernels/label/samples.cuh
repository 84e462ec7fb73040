// Where pixels lie among samples, and how a tile of labels is stored.
#pragma once

#include <cstdint>

#include "cuda/device.cuh"
#include "cuda/weighted_tap.cuh"

namespace fuseg {

// Between two samples of a row. A sample of weight 0 is not read.
template <typename Score>
__device__ float across(const Score* samples, const WeightedTap& column) {
  if (column.second == 0.0f) return read(samples);
  if (column.first == 0.0f) return read(samples + 1);
  return column.first * read(samples) + column.second * read(samples + 1);
}

// Where the labels of a tile go; those outside of (height, width) are dropped.
struct LabelTarget {
  void* labels;  // (height, width) uint8, or uint16 if `wide`
  bool wide;
  std::int64_t height;
  std::int64_t width;
  std::int64_t top;  // of the tile; above the image if negative
  std::int64_t left;
};

// All threads of the block store a part, 16 bytes at a time.
template <int kHeight, int kWidth>
__device__ void store_labels(const LabelTarget& to,
                             const std::uint16_t (&label)[kHeight][kWidth]) {
  constexpr int kPieces = kWidth / 8;  // of eight labels, 16 bytes of the tile
  static_assert(kPieces % 2 == 0);
  for (int i = static_cast<int>(threadIdx.x); i < kHeight * kPieces;
       i += static_cast<int>(blockDim.x)) {
    const std::int64_t y = to.top + i / kPieces;
    const std::int64_t x = to.left + i % kPieces * 8;
    const std::int64_t count = to.width - x;
    if (y < 0 || y >= to.height || count <= 0) continue;
    const auto* from =
        reinterpret_cast<const Vec16*>(&label[i / kPieces][i % kPieces * 8]);
    auto* bytes = static_cast<std::uint8_t*>(to.labels);
    const std::int64_t at = y * to.width + x;
    if (to.wide) {
      store_bytes(bytes + 2 * at, *from, 2 * count);
    } else if (i % 2 == 0) {
      Vec16 packed;
#pragma unroll
      for (int k = 0; k < 4; ++k) {
        const Vec16& half = from[k / 2];
        packed.word[k] =
            __byte_perm(half.word[k % 2 * 2], half.word[k % 2 * 2 + 1], 0x6420);
      }
      store_bytes(bytes + at, packed, count);
    }
  }
}

}  // namespace fuseg
