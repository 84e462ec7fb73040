// How often each true label was predicted as which.
//
//   truth, prediction  uint8 or uint16, the same, `pixels` of each, up to 2^32 - 1
//   counts             (C, C)  int64; rows are the truth, columns the prediction
//   scratch            confusion_matrix_scratch(C, threads) numbers
//
// Adds to counts. A pixel whose truth is `ignore` does not count, whatever is predicted
// there; ignore < 0 means none. Any other pixel must have both labels below C. Returns
// the largest labels that are not; if there is one, counts stays as it was. CUDA, where
// nobody waits for an answer, leaves such pixels out.
#pragma once

#include <cstdint>

#include "common/host_device.h"
#include "simd/level.h"

struct CUstream_st;

namespace fuseg {

struct ConfusionMatrix {
  const void* truth;
  const void* prediction;
  int label_bytes;  // 1 or 2
  std::int64_t pixels;
  int classes;
  int ignore;
  int threads;
  std::uint32_t* scratch;
  std::int64_t* counts;
};

struct Outside {
  int truth = -1;  // -1: none is
  int prediction = -1;
};

// Pixels are counted into C + 2 rows of C + 1: the classes, all labels beyond them, and
// a last row for ignored pixels.
struct ConfusionCells {
  std::uint32_t classes;
  std::uint32_t ignore;  // no label if none is ignored

  FUSEG_BOTH ConfusionCells(int classes, int ignore)
      : classes(static_cast<std::uint32_t>(classes)),
        ignore(static_cast<std::uint32_t>(ignore)) {}

  FUSEG_BOTH std::uint32_t row() const { return classes + 1; }
  FUSEG_BOTH std::int64_t size() const {
    return std::int64_t{classes + 2} * (classes + 1);
  }
  FUSEG_BOTH std::uint32_t of(std::uint32_t truth, std::uint32_t prediction) const {
    std::uint32_t y = truth < classes ? truth : classes;
    // Without a branch, which compilers would make of ?: here.
    const std::uint32_t ignored = 0u - static_cast<std::uint32_t>(truth == ignore);
    y ^= ignored & (y ^ (classes + 1));
    const std::uint32_t x = prediction < classes ? prediction : classes;
    return y * row() + x;
  }
};

// Tables that a thread may count into in turn: an increment need not wait for the one
// before it. One where four would be too large for the cache.
FUSEG_BOTH inline int confusion_matrix_tables(int classes) {
  return classes <= 160 ? 4 : 1;
}

FUSEG_BOTH inline std::int64_t confusion_matrix_scratch(int classes, int threads) {
  return ConfusionCells(classes, -1).size() * confusion_matrix_tables(classes) *
         threads;
}

// Adds what the threads counted to job.counts, or finds the labels outside.
Outside settle(const ConfusionMatrix& job);

Outside confusion_matrix_cpu(const ConfusionMatrix& job);
FUSEG_SIMD(Outside confusion_matrix_simd(const ConfusionMatrix& job))
void confusion_matrix_cuda(const ConfusionMatrix& job, CUstream_st* stream);

}  // namespace fuseg
