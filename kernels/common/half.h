// IEEE 754 binary16, as bits: no compiler we serve has to know the type.
#pragma once

#include <cstdint>
#include <cstring>

namespace fuseg {

struct Half {
  std::uint16_t bits;
};

inline float bits_to_float(std::uint32_t bits) {
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

inline std::uint32_t float_to_bits(float value) {
  std::uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  return bits;
}

inline float to_float(float value) { return value; }

// Exact: every binary16 is a float32.
inline float to_float(Half half) {
  const std::uint32_t sign = (half.bits & 0x8000u) << 16;
  const std::uint32_t rest = half.bits & 0x7fffu;
  if (rest >= 0x7c00u) return bits_to_float(sign | 0x7f800000u | (rest & 0x3ffu) << 13);
  // As a float32's exponent and fraction this is 2^-112 of the value, denormals too.
  const float value = bits_to_float(rest << 13) * bits_to_float(0x77800000u);
  return bits_to_float(sign | float_to_bits(value));
}

// To the nearest, ties to even; beyond 65,504 infinity. NaN stays NaN.
inline Half to_half(float value) {
  const std::uint32_t bits = float_to_bits(value);
  const auto sign = static_cast<std::uint16_t>(bits >> 16 & 0x8000u);
  std::uint32_t rest = bits & 0x7fffffffu;
  if (rest > 0x7f800000u) return {static_cast<std::uint16_t>(sign | 0x7e00u)};
  if (rest >= 0x477ff000u) return {static_cast<std::uint16_t>(sign | 0x7c00u)};
  if (rest < 0x38800000u) {
    // Adding 0.5 leaves the fraction of a denormal, rounded, in the low bits.
    const float shifted = bits_to_float(rest) + 0.5f;
    return {static_cast<std::uint16_t>(sign | (float_to_bits(shifted) - 0x3f000000u))};
  }
  rest += 0xfffu + (rest >> 13 & 1u);
  return {static_cast<std::uint16_t>(sign | (rest - 0x38000000u) >> 13)};
}

}  // namespace fuseg
