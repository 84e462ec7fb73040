// What a kernel needs of the GPU under names of its own.
// tests/cuda/emulator has this file's twin, for the CPU.
#pragma once

#include <cstdint>

#include "common/half.h"
#include "cuda/launch.cuh"

namespace fuseg {

// Memory that the threads of a block share, and find undefined. Kernels have no other
// way to it than this and shared_block(), so that tests can fill it with nonsense.
template <typename T>
__device__ __forceinline__ T& shared() {
  __shared__ T memory;
  return memory;
}

// The dynamic shared memory of a block, at 16 bytes.
__device__ inline void* shared_block() {
  extern __shared__ uint4 block[];
  return block;
}

__device__ inline float read(const float* from) { return __ldg(from); }

__device__ inline float float_of(Half half) {
  float value;
  asm("cvt.f32.f16 %0, %1;" : "=f"(value) : "h"(half.bits));
  return value;
}

__device__ inline float read(const Half* from) {
  return float_of(Half{__ldg(&from->bits)});
}

__device__ inline Half nearest_half(float value) {
  Half half;
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(half.bits) : "f"(value));
  return half;
}

}  // namespace fuseg
