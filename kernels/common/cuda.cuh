// What only the CUDA toolkit knows: how a kernel is launched, and how it reads a half.
// tests/cuda/emulator has this file's twin, which runs the kernels on the CPU.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>

#include "common/half.h"

namespace fuseg {

template <typename T>
struct Exactly {
  using Type = T;
};

// Throws if the launch is rejected. It does not wait for the kernel: a fault inside it
// appears at the caller's next synchronisation.
template <typename... Taken>
void launch(const char* room, void (*kernel)(Taken...), dim3 blocks, unsigned threads,
            std::size_t shared_bytes, CUstream_st* stream,
            typename Exactly<Taken>::Type... taken) {
  void* arguments[] = {const_cast<void*>(static_cast<const void*>(&taken))...};
  const cudaError_t status =
      cudaLaunchKernel(reinterpret_cast<const void*>(kernel), blocks, dim3(threads),
                       arguments, shared_bytes, stream);
  if (status != cudaSuccess) {
    throw std::runtime_error(std::string(room) +
                             " could not be launched: " + cudaGetErrorString(status));
  }
}

// The dynamic shared memory of a block, at 16 bytes.
__device__ inline void* shared_block() {
  extern __shared__ uint4 block[];
  return block;
}

__device__ inline float read(const float* from) { return __ldg(from); }

__device__ inline float read(const Half* from) {
  const std::uint16_t bits = __ldg(&from->bits);
  float value;
  asm("cvt.f32.f16 %0, %1;" : "=f"(value) : "h"(bits));
  return value;
}

__device__ inline Half nearest_half(float value) {
  Half half;
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(half.bits) : "f"(value));
  return half;
}

}  // namespace fuseg
