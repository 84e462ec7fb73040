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

}  // namespace fuseg
