// The twin of kernels/cuda/cuda.cuh: what a kernel needs of the GPU, on the CPU.
//
// Memory is the test's: a stray access shows at a forbidden page. An access of 16 bytes
// that is not at 16 bytes traps, by the compiler's sanitizers; see tests/native.py.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <utility>

#include "block.h"
#include "common/half.h"
#include "cuda/launch.cuh"

#define __global__
#define __device__
#define __host__
#define __grid_constant__
#define __forceinline__ inline
#define __noinline__
#define __launch_bounds__(...)

namespace fuseg {
using std::max;
using std::min;

struct alignas(16) uint4 {
  std::uint32_t x, y, z, w;
};
struct alignas(16) float4 {
  float x, y, z, w;
};
inline uint4 make_uint4(std::uint32_t x, std::uint32_t y, std::uint32_t z,
                        std::uint32_t w) {
  return {x, y, z, w};
}
inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }
struct alignas(8) float2 {
  float x, y;
};
inline float2 make_float2(float x, float y) { return {x, y}; }

inline void* shared_block() { return emulator::shared; }

template <typename T>
T& shared() {
  alignas(std::max(alignof(T), alignof(uint4))) static std::uint8_t memory[sizeof(T)];
  static std::uint64_t block = 0;
  if (std::exchange(block, fuseg_emulator_blocks) != fuseg_emulator_blocks) {
    std::memset(memory, emulator::kPoison, sizeof memory);
  }
  return *reinterpret_cast<T*>(memory);
}

inline void __syncthreads() { emulator::stop(emulator::State::kAtBlock); }
inline void __syncwarp(unsigned mask = ~0u) { emulator::meet_warp(mask); }

template <typename T>
T __shfl_xor_sync(unsigned mask, T value, int step) {
  return emulator::exchange(mask, value, threadIdx.x % 32 ^ step);
}
template <typename T>
T __shfl_sync(unsigned mask, T value, int lane) {
  return emulator::exchange(mask, value, lane);
}
inline unsigned __ballot_sync(unsigned mask, bool yes) {
  return emulator::votes(mask, yes);
}

template <typename T, typename U>
T atomicAdd(T* at, U more) {
  const T before = *at;
  *at = before + static_cast<T>(more);
  return before;
}
template <typename T, typename U>
T atomicOr(T* at, U bits) {
  const T before = *at;
  *at = before | static_cast<T>(bits);
  return before;
}

template <typename T>
T __ldg(const T* from) {
  if (fuseg_emulator_counting != 0) {
    emulator::loaded[threadIdx.x].push_back(reinterpret_cast<std::uintptr_t>(from));
  }
  return *from;
}
inline int __ffs(int bits) { return __builtin_ffs(bits); }
inline int __clz(int bits) {
  return bits == 0 ? 32 : __builtin_clz(static_cast<unsigned>(bits));
}
inline int __popc(std::uint32_t bits) { return __builtin_popcount(bits); }
inline std::uint32_t __funnelshift_r(std::uint32_t low, std::uint32_t high, int shift) {
  return static_cast<std::uint32_t>(((std::uint64_t{high} << 32) | low) >>
                                    (shift & 31));
}
inline std::uint32_t __byte_perm(std::uint32_t low, std::uint32_t high,
                                 std::uint32_t selector) {
  const std::uint64_t bytes = (std::uint64_t{high} << 32) | low;
  std::uint32_t picked = 0;
  for (int i = 0; i < 4; ++i) {
    const unsigned byte = selector >> 4 * i & 7;
    picked |= static_cast<std::uint32_t>(bytes >> 8 * byte & 255) << 8 * i;
  }
  return picked;
}
inline float __int2float_rn(int x) { return static_cast<float>(x); }
inline float __fdiv_rn(float a, float b) { return a / b; }
inline float __expf(float x) { return std::exp(x); }

inline float float_of(Half half) { return to_float(half); }
inline float read(const float* from) { return *from; }
inline float read(const Half* from) { return to_float(*from); }
inline Half nearest_half(float value) { return to_half(value); }

}  // namespace fuseg
