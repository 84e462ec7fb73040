// The twin of kernels/cuda/enqueue.cuh: the kernel runs at once, one block after the
// other.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <cstring>
#include <utility>

#include "block.h"

namespace fuseg {

template <typename... Taken, std::size_t... kIndex>
void call(void (*kernel)(Taken...), void** arguments, std::index_sequence<kIndex...>) {
  kernel(*static_cast<Taken*>(arguments[kIndex])...);
}

template <typename... Taken>
cudaError_t enqueue(void (*kernel)(Taken...), dim3 blocks, unsigned threads,
                    std::size_t shared_bytes, cudaStream_t, void** arguments) {
  if (blocks.x == 0 || blocks.y == 0 || blocks.z == 0 || blocks.y > 65535 ||
      blocks.z > 65535 || threads == 0 || threads > 1024 || shared_bytes > 48 << 10) {
    return emulated::failed(cudaErrorInvalidConfiguration);
  }
  emulator::body = [=] {
    call(kernel, arguments, std::index_sequence_for<Taken...>{});
  };
  blockDim = {threads, 1, 1};
  gridDim = {blocks.x, blocks.y, blocks.z};
  for (unsigned z = 0; z < blocks.z; ++z) {
    for (unsigned y = 0; y < blocks.y; ++y) {
      for (unsigned x = 0; x < blocks.x; ++x) {
        blockIdx = {x, y, z};
        std::memset(emulator::shared, emulator::kPoison, shared_bytes);
        emulator::run_block(threads);
      }
    }
  }
  return cudaSuccess;
}

}  // namespace fuseg
