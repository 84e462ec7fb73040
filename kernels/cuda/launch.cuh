// How a kernel is launched, on the host.
#pragma once

#include <stdexcept>
#include <string>

#include "cuda/enqueue.cuh"

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
      enqueue(kernel, blocks, threads, shared_bytes, stream, arguments);
  if (status == cudaSuccess) return;
  cudaGetLastError();  // or the next innocent call would report it
  refuse(name, cudaGetErrorString(status));
}

}  // namespace fuseg
