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

inline void require_success(const char* name, cudaError_t status) {
  if (status == cudaSuccess) return;
  cudaGetLastError();  // or the next innocent call would report it
  refuse(name, cudaGetErrorString(status));
}

// Of the current device.
inline int multiprocessors(const char* name) {
  int device = 0, count = 0;
  require_success(name, cudaGetDevice(&device));
  require_success(
      name, cudaDeviceGetAttribute(&count, cudaDevAttrMultiProcessorCount, device));
  return count;
}

// More needs CUDA 12.1 and its driver.
constexpr std::size_t kMostArgumentBytes = 4096;

// Throws if the launch is rejected. It does not wait for the kernel: a fault inside it
// appears at the caller's next synchronisation.
template <typename... Taken>
void launch(const char* name, void (*kernel)(Taken...), dim3 blocks, unsigned threads,
            std::size_t shared_bytes, CUstream_st* stream,
            typename Exactly<Taken>::Type... taken) {
  static_assert((sizeof(Taken) + ...) <= kMostArgumentBytes);
  void* arguments[] = {const_cast<void*>(static_cast<const void*>(&taken))...};
  require_success(name,
                  enqueue(kernel, blocks, threads, shared_bytes, stream, arguments));
}

}  // namespace fuseg
