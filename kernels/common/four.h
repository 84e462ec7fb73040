// Four floats at once, what every 64-bit processor can do. For steps that come in small
// groups (the corners of a cell, the channels of a pixel), where a compiler left to
// itself vectorises the loop around them and loses.
#pragma once

#include <cstring>

namespace fuseg {

using Four = float __attribute__((vector_size(16)));

inline Four load_four(const float* from) {
  Four four;
  std::memcpy(&four, from, sizeof four);
  return four;
}

inline void store_four(float* to, Four four) { std::memcpy(to, &four, sizeof four); }

}  // namespace fuseg
