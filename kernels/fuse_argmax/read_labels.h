// Labels into vectors.
#pragma once

#include <cstdint>
#include <cstring>

#include "simd/simd_labels.h"

namespace fuseg::FUSEG_LEVEL {

#if defined(__AVX512VBMI__)

inline Ints load_labels(const std::uint8_t* from) {
  return _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
}
inline Ints load_labels(const std::uint16_t* from) {
  return _mm512_cvtepu16_epi32(
      _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)));
}

#elif defined(__AVX2__)

inline Ints load_labels(const std::uint8_t* from) {
  return _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(from)));
}
inline Ints load_labels(const std::uint16_t* from) {
  return _mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
}

#elif defined(__aarch64__)

inline Ints load_labels(const std::uint16_t* from) {
  return vreinterpretq_s32_u32(vmovl_u16(vld1_u16(from)));
}
inline Ints load_labels(const std::uint8_t* from) {
  std::uint32_t four;
  std::memcpy(&four, from, sizeof four);
  const uint16x8_t words = vmovl_u8(vreinterpret_u8_u32(vdup_n_u32(four)));
  return vreinterpretq_s32_u32(vmovl_u16(vget_low_u16(words)));
}

#endif

}  // namespace fuseg::FUSEG_LEVEL
