// log(x) for vectors.
#pragma once

#include <cmath>
#include <limits>

#include "simd/simd.h"

namespace fuseg::FUSEG_LEVEL {

// Error below 1e-7 of the larger of 1 and the result; -infinity for 0, NaN below 0.
inline Floats logarithm(Floats v) {
  constexpr float kInfinite = std::numeric_limits<float>::infinity();
  const Floats significand = mantissa(v), whole = exponent(v);
  const Mask upper = greater(significand, all(1.41421356f));
  const Floats halved = mul(significand, all(0.5f));
  const Floats x = sub(select(upper, halved, significand), all(1.0f));
  const Floats power = select(upper, add(whole, all(1.0f)), whole);
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
  const Floats rest = select(equal(v, zero), all(-kInfinite), all(NAN));
  const Mask infinite = equal(v, all(kInfinite));
  return select(infinite, v, select(greater(v, zero), finite, rest));
}

}  // namespace fuseg::FUSEG_LEVEL
