// Vectors of float32 and int32 as wide as an instruction set has them, for
// <kernel>_simd.cpp only. README.md here says what every function does; the four
// headers below have the same ones, in the same order.
#pragma once

#if defined(__AVX512VBMI__)
#include "simd/avx512.h"
#elif defined(__AVX2__)
#include "simd/avx2.h"
#elif defined(__SSE4_1__)
#include "simd/sse4.h"
#elif defined(__aarch64__)
#include "simd/neon.h"
#endif
