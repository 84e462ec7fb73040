// What several CUDA kernels need: accesses of 16 bytes, and the grid of blocks.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>

#include "common/host_device.h"
#include "cuda/cuda.cuh"

namespace fuseg {

constexpr int kWarp = 32;

FUSEG_BOTH constexpr std::int64_t ceil_div(std::int64_t a, std::int64_t b) {
  return (a + b - 1) / b;
}

// 16 bytes, read or written at once.
struct alignas(16) Vec16 {
  std::uint32_t word[4];
};

__device__ inline bool aligned_to_16(const void* address) {
  return reinterpret_cast<std::uintptr_t>(address) % 16 == 0;
}

// Bytes from `count` on are neither read nor written; they load as 0.
__device__ inline Vec16 load_bytes(const std::uint8_t* from, std::int64_t count) {
  if (count >= 16 && aligned_to_16(from)) {
    const uint4 v = __ldg(reinterpret_cast<const uint4*>(from));
    return {{v.x, v.y, v.z, v.w}};
  }
  Vec16 bytes = {{0, 0, 0, 0}};
#pragma unroll
  for (int i = 0; i < 16; ++i) {
    if (i < count) bytes.word[i / 4] |= std::uint32_t{__ldg(from + i)} << i % 4 * 8;
  }
  return bytes;
}

__device__ inline void store_bytes(std::uint8_t* to, const Vec16& bytes,
                                   std::int64_t count) {
  if (count >= 16 && aligned_to_16(to)) {
    *reinterpret_cast<uint4*>(to) =
        make_uint4(bytes.word[0], bytes.word[1], bytes.word[2], bytes.word[3]);
    return;
  }
#pragma unroll
  for (int i = 0; i < 16; ++i) {
    if (i < count) to[i] = static_cast<std::uint8_t>(bytes.word[i / 4] >> i % 4 * 8);
  }
}

// The first `count` of kMany elements, every kApart-th.
template <int kApart, int kMany, typename T>
__device__ void store_apart(T* to, const T (&values)[kMany], int count) {
#pragma unroll
  for (int i = 0; i < kMany; ++i) {
    if (i < count) to[i * kApart] = values[i];
  }
}

}  // namespace fuseg
