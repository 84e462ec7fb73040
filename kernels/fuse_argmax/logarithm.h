// log(x) for vectors.
#pragma once

#include <cstdint>
#include <limits>

#include "simd/simd_labels.h"

namespace fuseg::FUSEG_LEVEL {

// A positive, finite v as mantissa * 2^exponent, 1 <= mantissa < 2.
struct Power {
  Floats mantissa;
  Floats exponent;
};

#if defined(__AVX512VBMI__)

inline Power power_of(Floats v) {
  return {_mm512_getmant_ps(v, _MM_MANT_NORM_1_2, _MM_MANT_SIGN_zero),
          _mm512_getexp_ps(v)};
}

#else

#if defined(__AVX2__)

inline Power power_of_normal(Floats v) {
  const __m256i bits = _mm256_castps_si256(v);
  const __m256i power = _mm256_sub_epi32(_mm256_srli_epi32(bits, 23), all(127));
  const __m256i fraction = _mm256_and_si256(bits, all(0x007fffff));
  return {_mm256_castsi256_ps(_mm256_or_si256(fraction, all(0x3f800000))),
          _mm256_cvtepi32_ps(power)};
}

#elif defined(__aarch64__)

inline Power power_of_normal(Floats v) {
  const int32x4_t bits = vreinterpretq_s32_f32(v);
  const int32x4_t power = vsubq_s32(vshrq_n_s32(bits, 23), all(127));
  const int32x4_t fraction = vandq_s32(bits, all(0x007fffff));
  return {vreinterpretq_f32_s32(vorrq_s32(fraction, all(0x3f800000))),
          vcvtq_f32_s32(power)};
}

#endif

inline Power power_of(Floats v) {
  const Mask tiny = greater(all(std::numeric_limits<float>::min()), v);
  const Power parts = power_of_normal(select(tiny, mul(v, all(16777216.0f)), v));
  return {parts.mantissa,
          select(tiny, sub(parts.exponent, all(24.0f)), parts.exponent)};
}

#endif

// Error below 1e-7 of the larger of 1 and the result; -infinity for 0, NaN below 0.
inline Floats logarithm(Floats v) {
  constexpr float kInfinite = std::numeric_limits<float>::infinity();
  const Power parts = power_of(v);
  const Mask upper = greater(parts.mantissa, all(1.41421356f));
  const Floats halved = mul(parts.mantissa, all(0.5f));
  const Floats x = sub(select(upper, halved, parts.mantissa), all(1.0f));
  const Floats power = select(upper, add(parts.exponent, all(1.0f)), parts.exponent);
  Floats p = all(7.0376836292e-2f);
  p = fma(p, x, all(-1.1514610310e-1f));
  p = fma(p, x, all(1.1676998740e-1f));
  p = fma(p, x, all(-1.2420140846e-1f));
  p = fma(p, x, all(1.4249322787e-1f));
  p = fma(p, x, all(-1.6668057665e-1f));
  p = fma(p, x, all(2.0000714765e-1f));
  p = fma(p, x, all(-2.4999993993e-1f));
  p = fma(p, x, all(3.3333331174e-1f));
  const Floats square = mul(x, x);
  // ln 2 in two parts; the first has few bits, so that its product is exact.
  Floats tail = mul(mul(p, x), square);
  tail = fma(power, all(-2.12194440e-4f), tail);
  tail = fma(square, all(-0.5f), tail);
  const Floats finite = fma(power, all(0.693359375f), add(x, tail));
  const Floats zero = all(0.0f);
  const Floats rest = select(equal(v, zero), all(-kInfinite),
                             all(std::numeric_limits<float>::quiet_NaN()));
  const Mask infinite = equal(v, all(kInfinite));
  return select(infinite, v, select(greater(v, zero), finite, rest));
}

}  // namespace fuseg::FUSEG_LEVEL
