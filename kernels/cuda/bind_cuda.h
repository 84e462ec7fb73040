// How arrays on the GPU cross from Python: as addresses, with their sizes beside them.
// fuseg.cuda.array_view read both from the array and checked them.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>
#include <stdexcept>
#include <string>

#include "common/bind.h"

namespace fuseg {

using Address = std::uintptr_t;

// Null for 0.
template <typename T>
T* at(Address address) {
  return reinterpret_cast<T*>(address);
}

inline std::string sentence_of(cudaError_t status, const char* what) {
  return std::string(what) + ": " + cudaGetErrorName(status) + ": " +
         cudaGetErrorString(status);
}

inline void check_cuda(cudaError_t status, const char* what) {
  if (status == cudaSuccess) return;
  cudaGetLastError();  // or the next innocent call would report it
  throw std::runtime_error(sentence_of(status, what));
}

// While it lives, the thread's current device is the one that holds `address`. Memory
// of the CPU that CUDA has page-locked is seen by every GPU: there the thread's own
// stays.
class OnDeviceOf {
 public:
  explicit OnDeviceOf(Address address) {
    cudaPointerAttributes found{};
    check_cuda(cudaPointerGetAttributes(&found, at<void>(address)),
               "the array's device is not known");
    if (found.type == cudaMemoryTypeUnregistered) {
      throw std::runtime_error("an array that said it is on the GPU is not");
    }
    if (found.type == cudaMemoryTypeHost) return;
    check_cuda(cudaGetDevice(&before_), "no current device");
    if (found.device != before_) {
      check_cuda(cudaSetDevice(found.device), "the array's device cannot be used");
      changed_ = true;
    }
  }
  ~OnDeviceOf() {
    if (changed_) cudaSetDevice(before_);
  }
  OnDeviceOf(const OnDeviceOf&) = delete;
  OnDeviceOf& operator=(const OnDeviceOf&) = delete;

 private:
  int before_ = 0;
  bool changed_ = false;
};

}  // namespace fuseg
