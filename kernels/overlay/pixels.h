// Labels and pixels by the vector, for overlay_simd.cpp only, as each level does them
// best:
//
//   Labels          kPixels bytes
//   Pixels          kPixels pixels of three bytes
//   with_colours()  calls with a palette whose .of(labels) are the pixels
//   thrice()        every byte of a mask at its pixel's three bytes
//   average()       (a + b + 1) / 2, which is the blend at alpha 128
//   Blend           the blend at any alpha but 0 and 256
#pragma once

#include <cstdint>

namespace fuseg::FUSEG_LEVEL::blending {

// One of the three colours of the palette's K labels, a byte each; 0 beyond K.
struct Plane {
  alignas(64) std::uint8_t value[256];

  Plane(const std::uint8_t* palette, int colours, int channel) : value{} {
    for (int k = 0; k < colours; ++k) value[k] = palette[3 * k + channel];
  }
};

}  // namespace fuseg::FUSEG_LEVEL::blending

#if defined(__AVX512VBMI__)
#include "overlay/pixels_avx512.h"
#elif defined(__AVX2__)
#include "overlay/pixels_avx2.h"
#elif defined(__SSE4_1__)
#include "overlay/pixels_sse4.h"
#elif defined(__aarch64__)
#include "overlay/pixels_neon.h"
#endif
