// Blocks of output pixels: a vector of columns, the rows of a band.
#pragma once

#include <cstdint>

#include "label/axis_taps.h"
#include "label/pack_row.h"
#include "label/packed_row.h"
#include "simd/simd.h"

namespace fuseg::FUSEG_LEVEL {

constexpr int kTileRows = kManyRegisters ? 8 : 4;

inline Floats blend(Floats first, Floats second, Floats fraction) {
  return fma(sub(second, first), fraction, first);
}

// Cuts the columns of an output row of at least kLanes pixels into blocks; the last one
// may overlap the one before. Returns how many there are.
inline std::int64_t write_column_blocks(const AxisTaps& columns, ColumnBlock* blocks) {
  std::int64_t count = 0;
  for (std::int64_t i = 0; i < columns.count; i += kLanes) {
    const std::int64_t x = i < columns.count - kLanes ? i : columns.count - kLanes;
    const std::int32_t first = columns.first[x];
    const std::int32_t samples = columns.second[x + kLanes - 1] - first + 1;
    // From a multiple of kLanes on if possible: a vector in one cache line.
    const std::int32_t aligned = first - first % kLanes;
    const bool fits = first - aligned + samples <= kLanes;
    const std::int32_t base = fits ? aligned : first;
    const std::uint32_t lanes =
        samples <= kLanes ? ((2u << (samples - 1)) - 1) << (first - base) : 0;
    blocks[count++] = {static_cast<std::int32_t>(x), base, lanes};
  }
  return count;
}

// A block's columns, in vectors. Near ones have their samples in one vector and
// permute it.
struct BlockTaps {
  std::int64_t x;
  std::int64_t base;
  unsigned lanes;
  Ints first;  // counted from base
  Ints second;
  Floats fraction;

  BlockTaps(const AxisTaps& columns, const ColumnBlock& block)
      : x(block.x),
        base(block.base),
        lanes(block.lanes),
        first(sub(load(columns.first + x), all(block.base))),
        second(sub(load(columns.second + x), all(block.base))),
        fraction(load(columns.fraction + x)) {}

  bool near() const { return lanes != 0; }
};

// Reads a row of samples at the columns of a block.
template <bool kNear>
struct Reader {
  const BlockTaps& block;

  Floats first(const float* samples) const { return read(samples, block.first); }
  Floats second(const float* samples) const { return read(samples, block.second); }
  Ints first(const std::int32_t* samples) const { return read(samples, block.first); }
  Ints second(const std::int32_t* samples) const { return read(samples, block.second); }

 private:
  template <typename T>
  auto read(const T* samples, Ints index) const {
    if constexpr (kNear) {
      return permute(load(samples + block.base), index);
    } else {
      return gather(samples + block.base, index);
    }
  }
};

}  // namespace fuseg::FUSEG_LEVEL
