// How a kernel is launched, on the host. tests/cuda has twins of this file and of
// cuda.cuh, which run the kernels on the CPU.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <stdexcept>
#include <string>

struct CUstream_st;

namespace fuseg {

template <typename T>
struct Exactly {
  using Type = T;
};

[[noreturn]] inline void refuse(const char* name, const char* why) {
  throw std::runtime_error(std::string(name) + " could not be launched: " + why);
}

// Throws if the launch is rejected. It does not wait for the kernel: a fault inside it
// appears at the caller's next synchronisation.
template <typename... Taken>
void launch(const char* name, void (*kernel)(Taken...), dim3 blocks, unsigned threads,
            std::size_t shared_bytes, CUstream_st* stream,
            typename Exactly<Taken>::Type... taken) {
  void* arguments[] = {const_cast<void*>(static_cast<const void*>(&taken))...};
  const cudaError_t status =
      cudaLaunchKernel(reinterpret_cast<const void*>(kernel), blocks, dim3(threads),
                       arguments, shared_bytes, stream);
  if (status != cudaSuccess) refuse(name, cudaGetErrorString(status));
}

}  // namespace fuseg
