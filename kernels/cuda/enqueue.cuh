// The one call that starts a kernel. tests/cuda/emulator has this file's twin, which
// runs it on the CPU.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>

namespace fuseg {

// `arguments` are the addresses of what the kernel takes.
template <typename... Taken>
cudaError_t enqueue(void (*kernel)(Taken...), dim3 blocks, unsigned threads,
                    std::size_t shared_bytes, cudaStream_t stream, void** arguments) {
  return cudaLaunchKernel(reinterpret_cast<const void*>(kernel), blocks, dim3(threads),
                          arguments, shared_bytes, stream);
}

}  // namespace fuseg
