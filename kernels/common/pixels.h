// Pixels of interleaved bytes to vectors of one channel each, for <room>_simd.cpp only.
//
// A vector is seen as groups of four lanes, one group per pixel; the vectors v[0] to
// v[3] hold kLanes pixels, pixel j + 4 * g in group g of v[j].
#pragma once

#include <cstdint>
#include <cstring>

#include "common/simd.h"

namespace fuseg::FUSEG_LEVEL {

#if defined(__AVX512VBMI__)

// Eight bytes from row + offset[4 * g] to the front of group g.
inline Ints load_groups(const std::uint8_t* row, const std::int32_t* offset) {
  const auto eight = [&](int g) {
    long long bytes;
    std::memcpy(&bytes, row + offset[4 * g], 8);
    return bytes;
  };
  return _mm512_set_epi64(0, eight(3), 0, eight(2), 0, eight(1), 0, eight(0));
}
// Sixteen byte indices for every group; 0x80 makes a 0.
inline Ints choose(Ints groups, const std::uint8_t* index) {
  const __m128i one = _mm_loadu_si128(reinterpret_cast<const __m128i*>(index));
  return _mm512_shuffle_epi8(groups, _mm512_broadcast_i32x4(one));
}
// The j-th of each group's four lanes, everywhere in the group, of a vector that holds
// one float per pixel, in order.
inline Floats spread(Floats v, int j) {
  const __m512i first =
      _mm512_setr_epi32(0, 0, 0, 0, 4, 4, 4, 4, 8, 8, 8, 8, 12, 12, 12, 12);
  return _mm512_permutexvar_ps(_mm512_add_epi32(first, _mm512_set1_epi32(j)), v);
}
// v[j] of pixels to v[c] of channels, pixels in order.
inline void transpose(Floats (&v)[4]) {
  const Floats a = _mm512_unpacklo_ps(v[0], v[1]), b = _mm512_unpacklo_ps(v[2], v[3]);
  const Floats c = _mm512_unpackhi_ps(v[0], v[1]), d = _mm512_unpackhi_ps(v[2], v[3]);
  const __m512d e = _mm512_castps_pd(a), f = _mm512_castps_pd(b);
  const __m512d g = _mm512_castps_pd(c), h = _mm512_castps_pd(d);
  v[0] = _mm512_castpd_ps(_mm512_unpacklo_pd(e, f));
  v[1] = _mm512_castpd_ps(_mm512_unpackhi_pd(e, f));
  v[2] = _mm512_castpd_ps(_mm512_unpacklo_pd(g, h));
  v[3] = _mm512_castpd_ps(_mm512_unpackhi_pd(g, h));
}

#elif defined(__AVX2__)

inline Ints load_groups(const std::uint8_t* row, const std::int32_t* offset) {
  const __m128i a = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(row + offset[0]));
  const __m128i b = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(row + offset[4]));
  return _mm256_set_m128i(b, a);
}
inline Ints choose(Ints groups, const std::uint8_t* index) {
  const __m128i one = _mm_loadu_si128(reinterpret_cast<const __m128i*>(index));
  return _mm256_shuffle_epi8(groups, _mm256_broadcastsi128_si256(one));
}
inline Floats spread(Floats v, int j) {
  const __m256i first = _mm256_setr_epi32(0, 0, 0, 0, 4, 4, 4, 4);
  return _mm256_permutevar8x32_ps(v, _mm256_add_epi32(first, _mm256_set1_epi32(j)));
}
inline void transpose(Floats (&v)[4]) {
  const Floats a = _mm256_unpacklo_ps(v[0], v[1]), b = _mm256_unpacklo_ps(v[2], v[3]);
  const Floats c = _mm256_unpackhi_ps(v[0], v[1]), d = _mm256_unpackhi_ps(v[2], v[3]);
  const __m256d e = _mm256_castps_pd(a), f = _mm256_castps_pd(b);
  const __m256d g = _mm256_castps_pd(c), h = _mm256_castps_pd(d);
  v[0] = _mm256_castpd_ps(_mm256_unpacklo_pd(e, f));
  v[1] = _mm256_castpd_ps(_mm256_unpackhi_pd(e, f));
  v[2] = _mm256_castpd_ps(_mm256_unpacklo_pd(g, h));
  v[3] = _mm256_castpd_ps(_mm256_unpackhi_pd(g, h));
}

#elif defined(__aarch64__)

inline Ints load_groups(const std::uint8_t* row, const std::int32_t* offset) {
  return vreinterpretq_s32_u8(vcombine_u8(vld1_u8(row + offset[0]), vdup_n_u8(0)));
}
inline Ints choose(Ints groups, const std::uint8_t* index) {
  return vreinterpretq_s32_u8(
      vqtbl1q_u8(vreinterpretq_u8_s32(groups), vld1q_u8(index)));
}
inline Floats spread(Floats v, int j) { return permute(v, vdupq_n_s32(j)); }
inline void transpose(Floats (&v)[4]) {
  const float32x4_t a = vzip1q_f32(v[0], v[2]), b = vzip1q_f32(v[1], v[3]);
  const float32x4_t c = vzip2q_f32(v[0], v[2]), d = vzip2q_f32(v[1], v[3]);
  v[0] = vzip1q_f32(a, b);
  v[1] = vzip2q_f32(a, b);
  v[2] = vzip1q_f32(c, d);
  v[3] = vzip2q_f32(c, d);
}

#endif

}  // namespace fuseg::FUSEG_LEVEL
