// AVX-512 with VBMI: 16 lanes, masks in registers of their own.
#pragma once

// GCC 12 takes the undefined operands of its own intrinsics for a mistake of ours.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#include <immintrin.h>
#pragma GCC diagnostic pop

#include <cstdint>

#include "common/half.h"

namespace fuseg::FUSEG_LEVEL {

using Floats = __m512;
using Ints = __m512i;
using Mask = __mmask16;
using WordMask = __mmask32;
constexpr int kLanes = 16;
constexpr bool kManyRegisters = true;

// Constants.
inline Floats all(float value) { return _mm512_set1_ps(value); }
inline Ints all(std::int32_t value) { return _mm512_set1_epi32(value); }
inline WordMask all_words() { return 0xffffffffu; }
inline Mask lanes_mask(unsigned bits) { return static_cast<Mask>(bits); }

// Masks.
inline unsigned bits(Mask mask) { return mask; }
inline int count(Mask mask) { return __builtin_popcount(mask); }
inline int count(WordMask mask) { return __builtin_popcount(mask); }
inline bool all_of(Mask mask) { return mask == 0xffff; }
inline Mask both(Mask a, Mask b) { return static_cast<Mask>(a & b); }
inline Mask either(Mask a, Mask b) { return static_cast<Mask>(a | b); }
inline Floats select(Mask mask, Floats yes, Floats no) {
  return _mm512_mask_mov_ps(no, mask, yes);
}
inline Ints select(Mask mask, Ints yes, Ints no) {
  return _mm512_mask_mov_epi32(no, mask, yes);
}

// Comparisons.
inline Mask equal(Floats a, Floats b) { return _mm512_cmp_ps_mask(a, b, _CMP_EQ_OQ); }
inline Mask equal(Ints a, Ints b) { return _mm512_cmpeq_epi32_mask(a, b); }
inline Mask greater(Floats a, Floats b) { return _mm512_cmp_ps_mask(a, b, _CMP_GT_OQ); }
inline Mask at_least(Floats a, Floats b) {
  return _mm512_cmp_ps_mask(a, b, _CMP_GE_OQ);
}
inline Mask differ(Mask among, Floats a, Floats b) {
  return _mm512_mask_cmp_ps_mask(among, a, b, _CMP_NEQ_UQ);
}

// Arithmetic.
inline Floats add(Floats a, Floats b) { return _mm512_add_ps(a, b); }
inline Floats sub(Floats a, Floats b) { return _mm512_sub_ps(a, b); }
inline Ints sub(Ints a, Ints b) { return _mm512_sub_epi32(a, b); }
inline Floats mul(Floats a, Floats b) { return _mm512_mul_ps(a, b); }
inline Floats div(Floats a, Floats b) { return _mm512_div_ps(a, b); }
inline Floats fma(Floats a, Floats b, Floats c) { return _mm512_fmadd_ps(a, b, c); }
inline Floats max(Floats a, Floats b) { return _mm512_max_ps(a, b); }
inline Floats min(Floats a, Floats b) { return _mm512_min_ps(a, b); }
inline Floats abs(Floats a) { return _mm512_abs_ps(a); }
inline Floats round(Floats a) {
  return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
inline Floats scale(Floats v, Floats whole) { return _mm512_scalef_ps(v, whole); }
inline Floats mantissa(Floats v) {
  return _mm512_getmant_ps(v, _MM_MANT_NORM_1_2, _MM_MANT_SIGN_zero);
}
inline Floats exponent(Floats v) { return _mm512_getexp_ps(v); }

// Lanes.
inline Floats permute(Floats v, Ints index) { return _mm512_permutexvar_ps(index, v); }
inline Ints permute(Ints v, Ints index) { return _mm512_permutexvar_epi32(index, v); }
inline Floats to_floats(Ints v) { return _mm512_cvtepi32_ps(v); }
inline Floats as_floats(Ints v) { return _mm512_castsi512_ps(v); }

// Two words a lane.
inline Floats low_words(Ints v) { return to_floats(_mm512_and_si512(v, all(0xffff))); }
inline Floats high_words(Ints v) { return to_floats(_mm512_srli_epi32(v, 16)); }
inline Ints low_half(Ints words) {
  return _mm512_cvtepu16_epi32(_mm512_castsi512_si256(words));
}
inline Ints high_half(Ints words) {
  return _mm512_cvtepu16_epi32(_mm512_extracti64x4_epi64(words, 1));
}
inline Mask low_half(WordMask mask) { return static_cast<Mask>(mask); }
inline Mask high_half(WordMask mask) {
  return static_cast<Mask>(_kshiftri_mask32(mask, 16));
}
inline WordMask differ(WordMask among, Ints a, Ints b) {
  return _mm512_mask_cmpneq_epu16_mask(among, a, b);
}
inline bool any_word_is(Ints v, Ints w, Ints a, Ints b) {
  const __mmask32 is_v =
      _kor_mask32(_mm512_cmpeq_epi16_mask(a, v), _mm512_cmpeq_epi16_mask(b, v));
  const __mmask32 is_w =
      _kor_mask32(_mm512_cmpeq_epi16_mask(a, w), _mm512_cmpeq_epi16_mask(b, w));
  return !_kortestz_mask32_u8(is_v, is_w);
}

// Memory.
inline Floats load(const float* from) { return _mm512_loadu_ps(from); }
inline Floats load(const Half* from) {
  return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)));
}
inline Ints load(const std::int32_t* from) { return _mm512_loadu_si512(from); }
inline Floats load_some(const float* from, int count) {
  return _mm512_maskz_loadu_ps(static_cast<Mask>((1u << count) - 1), from);
}
inline Floats load_some(const Half* from, int count) {
  const Mask lanes = static_cast<Mask>((1u << count) - 1);
  return _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(lanes, from));
}
inline Ints load_labels(const std::uint8_t* from) {
  return _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
}
inline Ints load_labels(const std::uint16_t* from) {
  return _mm512_cvtepu16_epi32(
      _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)));
}
inline Floats gather(const float* from, Ints index) {
  return _mm512_i32gather_ps(index, from, 4);
}
inline Ints gather(const std::int32_t* from, Ints index) {
  return _mm512_i32gather_epi32(index, from, 4);
}
inline void store(float* to, Floats v) { _mm512_storeu_ps(to, v); }
inline void store(Half* to, Floats v) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(to),
                      _mm512_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT));
}
inline void store(std::int32_t* to, Ints v) { _mm512_storeu_si512(to, v); }
inline void store(std::int8_t* to, Floats v) {
  v = max(min(v, all(127.0f)), all(-128.0f));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(to),
                   _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(v)));
}
inline void store_labels(std::uint8_t* to, Ints v) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(to), _mm512_cvtepi32_epi8(v));
}
inline void store_labels(std::uint16_t* to, Ints v) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), _mm512_cvtepi32_epi16(v));
}
inline void store_either(std::uint8_t* to, Mask mask, std::int32_t yes,
                         std::int32_t no) {
  const __m128i if_so = _mm_set1_epi8(static_cast<char>(yes));
  const __m128i if_not = _mm_set1_epi8(static_cast<char>(no));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(to),
                   _mm_mask_blend_epi8(mask, if_not, if_so));
}
inline void store_either(std::uint16_t* to, Mask mask, std::int32_t yes,
                         std::int32_t no) {
  store_labels(to, select(mask, all(yes), all(no)));
}
inline void store_ones(std::uint8_t* to, Mask mask) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(to), _mm_maskz_set1_epi8(mask, 1));
}

}  // namespace fuseg::FUSEG_LEVEL
