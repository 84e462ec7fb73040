// How class scores lie, and how many classes of a sample are read at once.
#pragma once

#include <cstdint>

#include "label/samples.cuh"

namespace fuseg {

// A plane for every class.
template <typename T>
struct InPlanes {
  using Score = T;
  static constexpr int kMany = 1;

  struct Some {
    float score;
    __device__ float operator[](int) const { return score; }
  };

  using Blend = Some;

  __device__ static Some some(const Score* from) { return {read(from)}; }
  __device__ static Blend across(const Score* row, std::int64_t,
                                 const WeightedTap& column) {
    return {fuseg::across(row, column)};
  }
  __device__ static Blend blend(Blend above, Blend below, const WeightedTap& row) {
    return {row.first * above.score + row.second * below.score};
  }
  __device__ static std::int64_t class_at(std::int32_t c, std::int64_t height,
                                          std::int64_t width) {
    return c * height * width;
  }
  __device__ static std::int64_t sample_step(std::int64_t) { return 1; }
};

// The classes of a sample side by side, from a multiple of 16 bytes on. What lies
// beyond the last of them may be read, and is not looked at.
struct SideBySide {
  using Score = Half;
  static constexpr int kMany = 8;

  struct Some {
    Vec16 halves;
    __device__ float operator[](int i) const {
      return float_of(
          Half{static_cast<std::uint16_t>(halves.word[i / 2] >> i % 2 * 16)});
    }
  };

  struct Blend {
    float score[kMany];
    __device__ float operator[](int i) const { return score[i]; }
  };

  template <typename Many>
  __device__ static Blend blend(const Many& a, const Many& b, const WeightedTap& tap) {
    Blend blend;
#pragma unroll
    for (int i = 0; i < kMany; ++i) {
      blend.score[i] = tap.first * a[i] + tap.second * b[i];
    }
    return blend;
  }

  // A sample of weight 0 does not count.
  __device__ static Blend across(const Score* row, std::int64_t next,
                                 const WeightedTap& column) {
    const bool one = column.first == 0.0f || column.second == 0.0f;
    if (!one) return blend(some(row), some(row + next), column);
    const Some only = some(column.second == 0.0f ? row : row + next);
    Blend blend;
#pragma unroll
    for (int i = 0; i < kMany; ++i) blend.score[i] = only[i];
    return blend;
  }

  __device__ static Some some(const Score* from) {
    const uint4 v = __ldg(reinterpret_cast<const uint4*>(from));
    return {{{v.x, v.y, v.z, v.w}}};
  }
  __device__ static std::int64_t class_at(std::int32_t c, std::int64_t, std::int64_t) {
    return c;
  }
  __device__ static std::int64_t sample_step(std::int64_t pitch) { return pitch; }
};

}  // namespace fuseg
