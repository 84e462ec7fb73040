// Pixels of interleaved bytes to vectors of one channel each, for <kernel>_simd.cpp
// only.
//
// A vector is seen as groups of four lanes, one group per pixel; the vectors v[0] to
// v[3] hold kLanes pixels, pixel j + 4 * g in group g of v[j].
#pragma once

#include <cstdint>
#include <cstring>

#include "simd/simd.h"

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
// Four floats from row + offset[4 * g] to group g.
inline Floats load_fours(const float* row, const std::int32_t* offset) {
  Floats v = _mm512_castps128_ps512(_mm_loadu_ps(row + offset[0]));
  v = _mm512_insertf32x4(v, _mm_loadu_ps(row + offset[4]), 1);
  v = _mm512_insertf32x4(v, _mm_loadu_ps(row + offset[8]), 2);
  return _mm512_insertf32x4(v, _mm_loadu_ps(row + offset[12]), 3);
}
// kLanes bytes.
inline Floats load_bytes(const std::uint8_t* from) {
  return _mm512_cvtepi32_ps(
      _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from))));
}
// 16 byte indices for every group; 0x80 makes a 0.
inline Ints choose(Ints groups, const std::uint8_t* index) {
  const __m128i one = _mm_loadu_si128(reinterpret_cast<const __m128i*>(index));
  return _mm512_shuffle_epi8(groups, _mm512_broadcast_i32x4(one));
}
// Of a vector that holds one number per pixel, in order: the j-th of each group's four
// lanes, everywhere in the group.
inline Ints spread(Ints v, int j) {
  const __m512i first =
      _mm512_setr_epi32(0, 0, 0, 0, 4, 4, 4, 4, 8, 8, 8, 8, 12, 12, 12, 12);
  return _mm512_permutexvar_epi32(_mm512_add_epi32(first, _mm512_set1_epi32(j)), v);
}
inline Floats spread(Floats v, int j) {
  return _mm512_castsi512_ps(spread(_mm512_castps_si512(v), j));
}
// The sum of two products of 16-bit numbers in every lane.
inline Ints dot(Ints a, Ints b) { return _mm512_madd_epi16(a, b); }
// dot(a, b) * 256 + dot(a, rest).
inline Ints fine_dot(Ints a, Ints b, Ints rest) {
  return _mm512_dpwssd_epi32(_mm512_slli_epi32(dot(a, b), 8), a, rest);
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
// To the nearest whole number, ties to even, saturated. Only for numbers that an int32
// can hold.
inline void put(std::int8_t* to, Floats v) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(to),
                   _mm512_cvtsepi32_epi8(_mm512_cvtps_epi32(v)));
}

#elif defined(__AVX2__)

inline Ints load_groups(const std::uint8_t* row, const std::int32_t* offset) {
  const __m128i a = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(row + offset[0]));
  const __m128i b = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(row + offset[4]));
  return _mm256_set_m128i(b, a);
}
inline Floats load_fours(const float* row, const std::int32_t* offset) {
  return _mm256_set_m128(_mm_loadu_ps(row + offset[4]), _mm_loadu_ps(row + offset[0]));
}
inline Floats load_bytes(const std::uint8_t* from) {
  return _mm256_cvtepi32_ps(
      _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(from))));
}
inline Ints choose(Ints groups, const std::uint8_t* index) {
  const __m128i one = _mm_loadu_si128(reinterpret_cast<const __m128i*>(index));
  return _mm256_shuffle_epi8(groups, _mm256_broadcastsi128_si256(one));
}
inline Ints spread(Ints v, int j) {
  const __m256i first = _mm256_setr_epi32(0, 0, 0, 0, 4, 4, 4, 4);
  return _mm256_permutevar8x32_epi32(v, _mm256_add_epi32(first, _mm256_set1_epi32(j)));
}
inline Floats spread(Floats v, int j) {
  return _mm256_castsi256_ps(spread(_mm256_castps_si256(v), j));
}
inline Ints dot(Ints a, Ints b) { return _mm256_madd_epi16(a, b); }
inline Ints fine_dot(Ints a, Ints b, Ints rest) {
  return _mm256_add_epi32(_mm256_slli_epi32(dot(a, b), 8), dot(a, rest));
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
inline void put(std::int8_t* to, Floats v) {
  const Ints whole = _mm256_cvtps_epi32(v);
  const __m128i words = _mm_packs_epi32(_mm256_castsi256_si128(whole),
                                        _mm256_extracti128_si256(whole, 1));
  _mm_storel_epi64(reinterpret_cast<__m128i*>(to), _mm_packs_epi16(words, words));
}

#elif defined(__SSE4_1__)

inline Ints load_groups(const std::uint8_t* row, const std::int32_t* offset) {
  return _mm_loadl_epi64(reinterpret_cast<const __m128i*>(row + offset[0]));
}
inline Floats load_fours(const float* row, const std::int32_t* offset) {
  return _mm_loadu_ps(row + offset[0]);
}
inline Floats load_bytes(const std::uint8_t* from) {
  return to_floats(load_labels(from));
}
inline Ints choose(Ints groups, const std::uint8_t* index) {
  return _mm_shuffle_epi8(groups,
                          _mm_loadu_si128(reinterpret_cast<const __m128i*>(index)));
}
inline Floats spread(Floats v, int j) { return permute(v, all(j)); }
inline Ints spread(Ints v, int j) { return permute(v, all(j)); }
inline Ints dot(Ints a, Ints b) { return _mm_madd_epi16(a, b); }
inline Ints fine_dot(Ints a, Ints b, Ints rest) {
  return _mm_add_epi32(_mm_slli_epi32(dot(a, b), 8), dot(a, rest));
}
inline void transpose(Floats (&v)[4]) {
  const Floats a = _mm_unpacklo_ps(v[0], v[1]), b = _mm_unpacklo_ps(v[2], v[3]);
  const Floats c = _mm_unpackhi_ps(v[0], v[1]), d = _mm_unpackhi_ps(v[2], v[3]);
  v[0] = _mm_movelh_ps(a, b);
  v[1] = _mm_movehl_ps(b, a);
  v[2] = _mm_movelh_ps(c, d);
  v[3] = _mm_movehl_ps(d, c);
}
inline void put(std::int8_t* to, Floats v) {
  const Ints whole = _mm_cvtps_epi32(v);
  const Ints words = _mm_packs_epi32(whole, whole);
  const std::int32_t four = _mm_cvtsi128_si32(_mm_packs_epi16(words, words));
  std::memcpy(to, &four, sizeof four);
}

#elif defined(__aarch64__)

inline Ints load_groups(const std::uint8_t* row, const std::int32_t* offset) {
  return vreinterpretq_s32_u8(vcombine_u8(vld1_u8(row + offset[0]), vdup_n_u8(0)));
}
inline Floats load_fours(const float* row, const std::int32_t* offset) {
  return vld1q_f32(row + offset[0]);
}
inline Floats load_bytes(const std::uint8_t* from) {
  std::uint32_t four;
  std::memcpy(&four, from, sizeof four);
  const uint16x8_t words = vmovl_u8(vreinterpret_u8_u32(vdup_n_u32(four)));
  return vcvtq_f32_u32(vmovl_u16(vget_low_u16(words)));
}
inline Ints choose(Ints groups, const std::uint8_t* index) {
  return vreinterpretq_s32_u8(
      vqtbl1q_u8(vreinterpretq_u8_s32(groups), vld1q_u8(index)));
}
inline Floats spread(Floats v, int j) { return permute(v, vdupq_n_s32(j)); }
inline Ints spread(Ints v, int j) {
  return vreinterpretq_s32_f32(spread(vreinterpretq_f32_s32(v), j));
}
inline Ints dot(Ints a, Ints b) {
  const int16x8_t x = vreinterpretq_s16_s32(a), y = vreinterpretq_s16_s32(b);
  return vpaddq_s32(vmull_s16(vget_low_s16(x), vget_low_s16(y)),
                    vmull_s16(vget_high_s16(x), vget_high_s16(y)));
}
inline Ints fine_dot(Ints a, Ints b, Ints rest) {
  return vaddq_s32(vshlq_n_s32(dot(a, b), 8), dot(a, rest));
}
inline void transpose(Floats (&v)[4]) {
  const float32x4_t a = vzip1q_f32(v[0], v[2]), b = vzip1q_f32(v[1], v[3]);
  const float32x4_t c = vzip2q_f32(v[0], v[2]), d = vzip2q_f32(v[1], v[3]);
  v[0] = vzip1q_f32(a, b);
  v[1] = vzip2q_f32(a, b);
  v[2] = vzip1q_f32(c, d);
  v[3] = vzip2q_f32(c, d);
}
inline void put(std::int8_t* to, Floats v) {
  const int16x4_t words = vqmovn_s32(vcvtnq_s32_f32(v));
  const int8x8_t bytes = vqmovn_s16(vcombine_s16(words, words));
  vst1_lane_s32(reinterpret_cast<std::int32_t*>(to), vreinterpret_s32_s8(bytes), 0);
}

#endif

inline void put(float* to, Floats v) { store(to, v); }
inline void put(Half* to, Floats v) { store(to, v); }

// One vector to each of three planes.
template <typename T>
inline void put(T* const (&to)[3], std::int64_t at, const Floats (&v)[3]) {
  for (int p = 0; p < 3; ++p) put(to[p] + at, v[p]);
}

#if defined(__AVX2__) && !defined(__AVX512VBMI__)
inline void put(std::int8_t* const (&to)[3], std::int64_t at, const Floats (&v)[3]) {
  const Ints first = _mm256_cvtps_epi32(v[0]), second = _mm256_cvtps_epi32(v[1]);
  const Ints third = _mm256_cvtps_epi32(v[2]);
  const Ints bytes = _mm256_packs_epi16(_mm256_packs_epi32(first, second),
                                        _mm256_packs_epi32(third, third));
  const Ints order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
  const Ints sorted = _mm256_permutevar8x32_epi32(bytes, order);
  const __m128i low = _mm256_castsi256_si128(sorted);
  _mm_storel_epi64(reinterpret_cast<__m128i*>(to[0] + at), low);
  _mm_storel_epi64(reinterpret_cast<__m128i*>(to[1] + at),
                   _mm_unpackhi_epi64(low, low));
  _mm_storel_epi64(reinterpret_cast<__m128i*>(to[2] + at),
                   _mm256_extracti128_si256(sorted, 1));
}
#endif

}  // namespace fuseg::FUSEG_LEVEL
