// What <algorithm> has, always inlined. A template of the standard library that is
// compiled for one instruction set has the same name in all of them, and the linker may
// keep the one that a processor cannot run.
#pragma once

#include <cstdint>

namespace fuseg {

template <typename T>
[[gnu::always_inline]] constexpr T min(T a, T b) {
  return b < a ? b : a;
}

template <typename T>
[[gnu::always_inline]] constexpr T max(T a, T b) {
  return a < b ? b : a;
}

template <typename T>
[[gnu::always_inline]] inline void fill_n(T* to, std::int64_t count, T value) {
  for (std::int64_t i = 0; i < count; ++i) to[i] = value;
}

template <typename T>
[[gnu::always_inline]] inline void copy_n(const T* from, std::int64_t count, T* to) {
  for (std::int64_t i = 0; i < count; ++i) to[i] = from[i];
}

}  // namespace fuseg
