// e^x for vectors.
#pragma once

#include "simd/simd.h"

namespace fuseg::FUSEG_LEVEL {

// Relative error below 2e-7 for x from -87 to 88; e^-87 below that. NaN stays NaN.
inline Floats exponential(Floats x) {
  const Floats clamped = max(all(-87.0f), x);
  const Floats whole = round(mul(clamped, all(1.44269504f)));
  // ln 2 in two parts; the first has few bits, so that its product is exact.
  const Floats high = fma(whole, all(-0.693359375f), clamped);
  const Floats r = fma(whole, all(2.12194440e-4f), high);
  Floats p = all(1.9875691500e-4f);
  p = fma(p, r, all(1.3981999507e-3f));
  p = fma(p, r, all(8.3334519073e-3f));
  p = fma(p, r, all(4.1665795894e-2f));
  p = fma(p, r, all(1.6666665459e-1f));
  p = fma(p, r, all(5.0000001201e-1f));
  return scale(fma(mul(p, r), r, add(r, all(1.0f))), whole);
}

}  // namespace fuseg::FUSEG_LEVEL
