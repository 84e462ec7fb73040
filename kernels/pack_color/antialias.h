// Averaging while shrinking: rows of the frame into one row of floats, then its pixels.
// The same C++ for every instruction set; the compiler finds the vectors.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "pack_color/tables.h"

namespace fuseg {
namespace {

// The channels of one pixel, and what follows them in memory.
using Four = float __attribute__((vector_size(16)));

inline Four load_four(const float* from) {
  Four four;
  std::memcpy(&four, from, sizeof four);
  return four;
}

// The row of floats a line is made from. Four zeros follow it, for load_four.
inline void average_rows(const PackColor& job, const Side& across, std::int64_t line,
                         float* __restrict__ row) {
  const std::int64_t bytes = job.geometry.width * job.pixel_bytes;
  const Fan fan = fan_over(line, across.in, across.out);
  std::fill_n(row, bytes + 4, 0.0f);
  for (std::int64_t k = fan.first; k < fan.end; ++k) {
    const std::uint8_t* __restrict__ from = row_of(job, across.frame(k));
    const auto weight = static_cast<float>(static_cast<double>(fan.weight(k)) /
                                           static_cast<double>(fan.total));
    for (std::int64_t i = 0; i < bytes; ++i) {
      row[i] += weight * static_cast<float>(from[i]);
    }
  }
}

inline Four average_columns(const Tables& tables, int pixel_bytes, const float* row,
                            std::int64_t x) {
  const float* weight = tables.weight + x * tables.summary->most;
  row += tables.offset[x];
  Four sum{};
  for (std::int32_t k = 0; k < tables.count[x]; ++k) {
    sum += weight[k] * load_four(row + k * pixel_bytes);
  }
  return sum;
}

}  // namespace
}  // namespace fuseg
