// Vectors of float32 and int32 as wide as a level has them, for <room>_simd.cpp only:
// the functions live in the namespace of the level that is being compiled.
#pragma once

#include <cstdint>

#include "common/half.h"

#if defined(__x86_64__)
// GCC 12 takes the undefined operands of its own intrinsics for a mistake of ours.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#include <immintrin.h>
#pragma GCC diagnostic pop
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

namespace fuseg::FUSEG_LEVEL {

#if defined(__AVX512VBMI__)

using Floats = __m512;
using Ints = __m512i;
using Mask = __mmask16;
constexpr int kLanes = 16;

inline Floats load(const float* from) { return _mm512_loadu_ps(from); }
inline Floats load(const Half* from) {
  return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)));
}
inline void store(float* to, Floats v) { _mm512_storeu_ps(to, v); }
inline void store(Half* to, Floats v) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(to),
                      _mm512_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT));
}
// Lanes from `count` on are neither read nor written; they load as 0.
inline Floats load_some(const float* from, int count) {
  return _mm512_maskz_loadu_ps(static_cast<Mask>((1u << count) - 1), from);
}
inline void store_some(float* to, Floats v, int count) {
  _mm512_mask_storeu_ps(to, static_cast<Mask>((1u << count) - 1), v);
}
inline Ints load(const std::int32_t* from) { return _mm512_loadu_si512(from); }
inline Floats all(float value) { return _mm512_set1_ps(value); }
inline Ints all(std::int32_t value) { return _mm512_set1_epi32(value); }
inline Floats add(Floats a, Floats b) { return _mm512_add_ps(a, b); }
inline Floats sub(Floats a, Floats b) { return _mm512_sub_ps(a, b); }
inline Floats mul(Floats a, Floats b) { return _mm512_mul_ps(a, b); }
inline Floats div(Floats a, Floats b) { return _mm512_div_ps(a, b); }
// a * b + c, rounded once.
inline Floats fma(Floats a, Floats b, Floats c) { return _mm512_fmadd_ps(a, b, c); }
// `b` where either is NaN.
inline Floats max(Floats a, Floats b) { return _mm512_max_ps(a, b); }
inline Floats min(Floats a, Floats b) { return _mm512_min_ps(a, b); }
inline Mask greater(Floats a, Floats b) { return _mm512_cmp_ps_mask(a, b, _CMP_GT_OQ); }
inline unsigned bits(Mask mask) { return mask; }
inline Floats select(Mask mask, Floats yes, Floats no) {
  return _mm512_mask_mov_ps(no, mask, yes);
}
inline Ints select(Mask mask, Ints yes, Ints no) {
  return _mm512_mask_mov_epi32(no, mask, yes);
}
inline Floats permute(Floats v, Ints index) { return _mm512_permutexvar_ps(index, v); }
// The low byte of every lane, kLanes of them.
inline void store_bytes(std::uint8_t* to, Ints v) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(to), _mm512_cvtepi32_epi8(v));
}
inline Mask first_lanes_of(int count) { return static_cast<Mask>((1u << count) - 1); }
inline Mask both(Mask a, Mask b) { return static_cast<Mask>(a & b); }
inline Mask either(Mask a, Mask b) { return static_cast<Mask>(a | b); }
// Those of `among` where a and b differ; NaN differs from everything.
inline Mask differ(Mask among, Floats a, Floats b) {
  return _mm512_mask_cmp_ps_mask(among, a, b, _CMP_NEQ_UQ);
}
// Whether any of the 16-bit words of a or b is equal to that of v or w.
inline bool any_word_is(Ints v, Ints w, Ints a, Ints b) {
  const __mmask32 is_v =
      _kor_mask32(_mm512_cmpeq_epi16_mask(a, v), _mm512_cmpeq_epi16_mask(b, v));
  const __mmask32 is_w =
      _kor_mask32(_mm512_cmpeq_epi16_mask(a, w), _mm512_cmpeq_epi16_mask(b, w));
  return !_kortestz_mask32_u8(is_v, is_w);
}
inline Floats to_floats(Ints v) { return _mm512_cvtepi32_ps(v); }
// The 16-bit halves of every lane, without a sign.
inline Floats low_words(Ints v) {
  return to_floats(_mm512_and_si512(v, _mm512_set1_epi32(0xffff)));
}
inline Floats high_words(Ints v) { return to_floats(_mm512_srli_epi32(v, 16)); }
inline Floats as_floats(Ints v) { return _mm512_castsi512_ps(v); }
// To the nearest whole number, ties to even, from -128 to 127. No NaN.
inline void store(std::int8_t* to, Floats v) {
  v = _mm512_max_ps(_mm512_min_ps(v, all(127.0f)), all(-128.0f));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(to),
                   _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(v)));
}
// 1 or 0, kLanes bytes.
inline void store_ones(std::uint8_t* to, Mask mask) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(to), _mm_maskz_set1_epi8(mask, 1));
}
// Two 16-bit words a lane: the first kLanes of them, and the others, as lanes.
inline Ints low_half(Ints words) {
  return _mm512_cvtepu16_epi32(_mm512_castsi512_si256(words));
}
inline Ints high_half(Ints words) {
  return _mm512_cvtepu16_epi32(_mm512_extracti64x4_epi64(words, 1));
}
using WordMask = __mmask32;
inline WordMask all_words() { return 0xffffffffu; }
inline WordMask differ(WordMask among, Ints a, Ints b) {
  return _mm512_mask_cmpneq_epu16_mask(among, a, b);
}
inline Mask low_half(WordMask mask) { return static_cast<Mask>(mask); }
inline Mask high_half(WordMask mask) {
  return static_cast<Mask>(_kshiftri_mask32(mask, 16));
}
inline int count(WordMask mask) { return __builtin_popcount(mask); }
inline int count(Mask mask) { return __builtin_popcount(mask); }
inline bool all_of(Mask mask) { return mask == 0xffff; }

#elif defined(__AVX2__)

using Floats = __m256;
using Ints = __m256i;
using Mask = __m256;
constexpr int kLanes = 8;

inline Floats load(const float* from) { return _mm256_loadu_ps(from); }
inline Floats load(const Half* from) {
  return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
}
inline void store(float* to, Floats v) { _mm256_storeu_ps(to, v); }
inline void store(Half* to, Floats v) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(to),
                   _mm256_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT));
}
inline __m256i first_lanes(int count) {
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(count),
                            _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
// Lanes from `count` on are neither read nor written; they load as 0.
inline Floats load_some(const float* from, int count) {
  return _mm256_maskload_ps(from, first_lanes(count));
}
inline void store_some(float* to, Floats v, int count) {
  _mm256_maskstore_ps(to, first_lanes(count), v);
}
inline Ints load(const std::int32_t* from) {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
}
inline Floats all(float value) { return _mm256_set1_ps(value); }
inline Ints all(std::int32_t value) { return _mm256_set1_epi32(value); }
inline Floats add(Floats a, Floats b) { return _mm256_add_ps(a, b); }
inline Floats sub(Floats a, Floats b) { return _mm256_sub_ps(a, b); }
inline Floats mul(Floats a, Floats b) { return _mm256_mul_ps(a, b); }
inline Floats div(Floats a, Floats b) { return _mm256_div_ps(a, b); }
// a * b + c, rounded once.
inline Floats fma(Floats a, Floats b, Floats c) { return _mm256_fmadd_ps(a, b, c); }
// `b` where either is NaN.
inline Floats max(Floats a, Floats b) { return _mm256_max_ps(a, b); }
inline Floats min(Floats a, Floats b) { return _mm256_min_ps(a, b); }
inline Mask greater(Floats a, Floats b) { return _mm256_cmp_ps(a, b, _CMP_GT_OQ); }
inline unsigned bits(Mask mask) {
  return static_cast<unsigned>(_mm256_movemask_ps(mask));
}
inline Floats select(Mask mask, Floats yes, Floats no) {
  return _mm256_blendv_ps(no, yes, mask);
}
inline Ints select(Mask mask, Ints yes, Ints no) {
  return _mm256_blendv_epi8(no, yes, _mm256_castps_si256(mask));
}
inline Floats permute(Floats v, Ints index) {
  return _mm256_permutevar8x32_ps(v, index);
}
// The low byte of every lane, kLanes of them.
inline void store_bytes(std::uint8_t* to, Ints v) {
  const __m128i words =
      _mm_packus_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
  _mm_storel_epi64(reinterpret_cast<__m128i*>(to), _mm_packus_epi16(words, words));
}
inline Mask first_lanes_of(int count) {
  return _mm256_castsi256_ps(first_lanes(count));
}
inline Mask both(Mask a, Mask b) { return _mm256_and_ps(a, b); }
inline Mask either(Mask a, Mask b) { return _mm256_or_ps(a, b); }
// Those of `among` where a and b differ; NaN differs from everything.
inline Mask differ(Mask among, Floats a, Floats b) {
  return _mm256_and_ps(among, _mm256_cmp_ps(a, b, _CMP_NEQ_UQ));
}
// Whether any of the 16-bit words of a or b is equal to that of v or w.
inline bool any_word_is(Ints v, Ints w, Ints a, Ints b) {
  const __m256i is_v =
      _mm256_or_si256(_mm256_cmpeq_epi16(a, v), _mm256_cmpeq_epi16(b, v));
  const __m256i is_w =
      _mm256_or_si256(_mm256_cmpeq_epi16(a, w), _mm256_cmpeq_epi16(b, w));
  const __m256i is = _mm256_or_si256(is_v, is_w);
  return !_mm256_testz_si256(is, is);
}
inline Floats to_floats(Ints v) { return _mm256_cvtepi32_ps(v); }
// The 16-bit halves of every lane, without a sign.
inline Floats low_words(Ints v) {
  return to_floats(_mm256_and_si256(v, _mm256_set1_epi32(0xffff)));
}
inline Floats high_words(Ints v) { return to_floats(_mm256_srli_epi32(v, 16)); }
inline Floats as_floats(Ints v) { return _mm256_castsi256_ps(v); }
// To the nearest whole number, ties to even, from -128 to 127. No NaN.
inline void store(std::int8_t* to, Floats v) {
  v = _mm256_max_ps(_mm256_min_ps(v, all(127.0f)), all(-128.0f));
  const __m256i whole = _mm256_cvtps_epi32(v);
  const __m128i words = _mm_packs_epi32(_mm256_castsi256_si128(whole),
                                        _mm256_extracti128_si256(whole, 1));
  _mm_storel_epi64(reinterpret_cast<__m128i*>(to), _mm_packs_epi16(words, words));
}
// 1 or 0, kLanes bytes.
inline void store_ones(std::uint8_t* to, Mask mask) {
  store_bytes(to, _mm256_srli_epi32(_mm256_castps_si256(mask), 31));
}
// Two 16-bit words a lane: the first kLanes of them, and the others, as lanes.
inline Ints low_half(Ints words) {
  return _mm256_cvtepu16_epi32(_mm256_castsi256_si128(words));
}
inline Ints high_half(Ints words) {
  return _mm256_cvtepu16_epi32(_mm256_extracti128_si256(words, 1));
}
struct WordMask {
  Ints words;
};
inline WordMask all_words() { return {_mm256_set1_epi16(-1)}; }
inline WordMask differ(WordMask among, Ints a, Ints b) {
  return {_mm256_andnot_si256(_mm256_cmpeq_epi16(a, b), among.words)};
}
inline Mask low_half(WordMask mask) {
  const __m128i words = _mm256_castsi256_si128(mask.words);
  return _mm256_castsi256_ps(_mm256_cvtepi16_epi32(words));
}
inline Mask high_half(WordMask mask) {
  const __m128i words = _mm256_extracti128_si256(mask.words, 1);
  return _mm256_castsi256_ps(_mm256_cvtepi16_epi32(words));
}
inline int count(WordMask mask) {
  return __builtin_popcount(static_cast<unsigned>(_mm256_movemask_epi8(mask.words))) /
         2;
}
inline int count(Mask mask) { return __builtin_popcount(bits(mask)); }
inline bool all_of(Mask mask) { return bits(mask) == 0xff; }

#elif defined(__aarch64__)

using Floats = float32x4_t;
using Ints = int32x4_t;
using Mask = uint32x4_t;
constexpr int kLanes = 4;

inline Floats load(const float* from) { return vld1q_f32(from); }
inline Floats load(const Half* from) {
  return vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(&from->bits)));
}
inline void store(float* to, Floats v) { vst1q_f32(to, v); }
inline void store(Half* to, Floats v) {
  vst1_u16(&to->bits, vreinterpret_u16_f16(vcvt_f16_f32(v)));
}
// Lanes from `count` on are neither read nor written; they load as 0.
inline Floats load_some(const float* from, int count) {
  float lanes[4] = {0, 0, 0, 0};
  for (int i = 0; i < count && i < 4; ++i) lanes[i] = from[i];
  return vld1q_f32(lanes);
}
inline void store_some(float* to, Floats v, int count) {
  float lanes[4];
  vst1q_f32(lanes, v);
  for (int i = 0; i < count && i < 4; ++i) to[i] = lanes[i];
}
inline Ints load(const std::int32_t* from) { return vld1q_s32(from); }
inline Floats all(float value) { return vdupq_n_f32(value); }
inline Ints all(std::int32_t value) { return vdupq_n_s32(value); }
inline Floats add(Floats a, Floats b) { return vaddq_f32(a, b); }
inline Floats sub(Floats a, Floats b) { return vsubq_f32(a, b); }
inline Floats mul(Floats a, Floats b) { return vmulq_f32(a, b); }
inline Floats div(Floats a, Floats b) { return vdivq_f32(a, b); }
// a * b + c, rounded once.
inline Floats fma(Floats a, Floats b, Floats c) { return vfmaq_f32(c, a, b); }
inline Mask greater(Floats a, Floats b) { return vcgtq_f32(a, b); }
inline Floats select(Mask mask, Floats yes, Floats no) {
  return vbslq_f32(mask, yes, no);
}
inline Ints select(Mask mask, Ints yes, Ints no) { return vbslq_s32(mask, yes, no); }
// `b` where either is NaN.
inline Floats max(Floats a, Floats b) { return select(greater(a, b), a, b); }
inline Floats min(Floats a, Floats b) { return select(greater(b, a), a, b); }
inline unsigned bits(Mask mask) {
  const uint32x4_t weights = {1, 2, 4, 8};
  return vaddvq_u32(vandq_u32(mask, weights));
}
inline Floats permute(Floats v, Ints index) {
  const uint8x16_t bytes = vaddq_u8(
      vreinterpretq_u8_u32(vmulq_n_u32(vreinterpretq_u32_s32(index), 0x04040404u)),
      vreinterpretq_u8_u32(vdupq_n_u32(0x03020100u)));
  return vreinterpretq_f32_u8(vqtbl1q_u8(vreinterpretq_u8_f32(v), bytes));
}
// The low byte of every lane, kLanes of them.
inline void store_bytes(std::uint8_t* to, Ints v) {
  const uint16x4_t words = vmovn_u32(vreinterpretq_u32_s32(v));
  const uint8x8_t bytes = vmovn_u16(vcombine_u16(words, words));
  vst1_lane_u32(reinterpret_cast<std::uint32_t*>(to), vreinterpret_u32_u8(bytes), 0);
}
inline Mask first_lanes_of(int count) {
  const std::int32_t lanes[4] = {0, 1, 2, 3};
  return vcltq_s32(vld1q_s32(lanes), vdupq_n_s32(count));
}
inline Mask both(Mask a, Mask b) { return vandq_u32(a, b); }
inline Mask either(Mask a, Mask b) { return vorrq_u32(a, b); }
// Those of `among` where a and b differ; NaN differs from everything.
inline Mask differ(Mask among, Floats a, Floats b) {
  return vbicq_u32(among, vceqq_f32(a, b));
}
// Whether any of the 16-bit words of a or b is equal to that of v or w.
inline bool any_word_is(Ints v, Ints w, Ints a, Ints b) {
  const auto is = [](Ints x, Ints y) {
    return vceqq_u16(vreinterpretq_u16_s32(x), vreinterpretq_u16_s32(y));
  };
  const uint16x8_t any =
      vorrq_u16(vorrq_u16(is(a, v), is(b, v)), vorrq_u16(is(a, w), is(b, w)));
  return vmaxvq_u16(any) != 0;
}
inline Floats to_floats(Ints v) { return vcvtq_f32_s32(v); }
// The 16-bit halves of every lane, without a sign.
inline Floats low_words(Ints v) { return to_floats(vandq_s32(v, vdupq_n_s32(0xffff))); }
inline Floats high_words(Ints v) {
  return vcvtq_f32_u32(vshrq_n_u32(vreinterpretq_u32_s32(v), 16));
}
inline Floats as_floats(Ints v) { return vreinterpretq_f32_s32(v); }
// To the nearest whole number, ties to even, from -128 to 127. No NaN.
inline void store(std::int8_t* to, Floats v) {
  v = vmaxq_f32(vminq_f32(v, all(127.0f)), all(-128.0f));
  store_bytes(reinterpret_cast<std::uint8_t*>(to), vcvtnq_s32_f32(v));
}
// 1 or 0, kLanes bytes.
inline void store_ones(std::uint8_t* to, Mask mask) {
  store_bytes(to, vreinterpretq_s32_u32(vshrq_n_u32(mask, 31)));
}
// Two 16-bit words a lane: the first kLanes of them, and the others, as lanes.
inline Ints low_half(Ints words) {
  return vreinterpretq_s32_u32(vmovl_u16(vget_low_u16(vreinterpretq_u16_s32(words))));
}
inline Ints high_half(Ints words) {
  return vreinterpretq_s32_u32(vmovl_u16(vget_high_u16(vreinterpretq_u16_s32(words))));
}
struct WordMask {
  uint16x8_t words;
};
inline WordMask all_words() { return {vdupq_n_u16(0xffff)}; }
inline WordMask differ(WordMask among, Ints a, Ints b) {
  const uint16x8_t same = vceqq_u16(vreinterpretq_u16_s32(a), vreinterpretq_u16_s32(b));
  return {vbicq_u16(among.words, same)};
}
inline Mask low_half(WordMask mask) {
  const int16x4_t words = vreinterpret_s16_u16(vget_low_u16(mask.words));
  return vreinterpretq_u32_s32(vmovl_s16(words));
}
inline Mask high_half(WordMask mask) {
  const int16x4_t words = vreinterpret_s16_u16(vget_high_u16(mask.words));
  return vreinterpretq_u32_s32(vmovl_s16(words));
}
inline int count(WordMask mask) { return vaddvq_u16(vshrq_n_u16(mask.words, 15)); }
inline int count(Mask mask) {
  return static_cast<int>(vaddvq_u32(vshrq_n_u32(mask, 31)));
}
inline bool all_of(Mask mask) { return vminvq_u32(mask) != 0; }

#endif

}  // namespace fuseg::FUSEG_LEVEL
