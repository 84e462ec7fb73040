// AVX2 with FMA and F16C, x86-64-v3: 8 lanes, a mask is a vector of all ones or 0.
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "common/half.h"

namespace fuseg::FUSEG_LEVEL {

using Floats = __m256;
using Ints = __m256i;
using Mask = __m256;
struct WordMask {
  Ints words;
};
constexpr int kLanes = 8;
constexpr bool kManyRegisters = false;

// Constants.
inline Floats all(float value) { return _mm256_set1_ps(value); }
inline Ints all(std::int32_t value) { return _mm256_set1_epi32(value); }
inline WordMask all_words() { return {_mm256_set1_epi16(-1)}; }
inline Mask lanes_mask(unsigned bits) {
  const Ints each = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
  const Ints given = _mm256_and_si256(all(static_cast<std::int32_t>(bits)), each);
  return _mm256_castsi256_ps(_mm256_cmpeq_epi32(given, each));
}

// Masks.
inline unsigned bits(Mask mask) {
  return static_cast<unsigned>(_mm256_movemask_ps(mask));
}
inline int count(Mask mask) { return __builtin_popcount(bits(mask)); }
inline int count(WordMask mask) {
  const int bytes = _mm256_movemask_epi8(mask.words);
  return __builtin_popcount(static_cast<unsigned>(bytes)) / 2;
}
inline bool all_of(Mask mask) { return bits(mask) == 0xff; }
inline Mask both(Mask a, Mask b) { return _mm256_and_ps(a, b); }
inline Mask either(Mask a, Mask b) { return _mm256_or_ps(a, b); }
inline Floats select(Mask mask, Floats yes, Floats no) {
  return _mm256_blendv_ps(no, yes, mask);
}
inline Ints select(Mask mask, Ints yes, Ints no) {
  return _mm256_blendv_epi8(no, yes, _mm256_castps_si256(mask));
}

// Comparisons.
inline Mask equal(Floats a, Floats b) { return _mm256_cmp_ps(a, b, _CMP_EQ_OQ); }
inline Mask equal(Ints a, Ints b) {
  return _mm256_castsi256_ps(_mm256_cmpeq_epi32(a, b));
}
inline Mask greater(Floats a, Floats b) { return _mm256_cmp_ps(a, b, _CMP_GT_OQ); }
inline Mask at_least(Floats a, Floats b) { return _mm256_cmp_ps(a, b, _CMP_GE_OQ); }
inline Mask differ(Mask among, Floats a, Floats b) {
  return _mm256_and_ps(among, _mm256_cmp_ps(a, b, _CMP_NEQ_UQ));
}

// Arithmetic.
inline Floats add(Floats a, Floats b) { return _mm256_add_ps(a, b); }
inline Floats sub(Floats a, Floats b) { return _mm256_sub_ps(a, b); }
inline Ints sub(Ints a, Ints b) { return _mm256_sub_epi32(a, b); }
inline Floats mul(Floats a, Floats b) { return _mm256_mul_ps(a, b); }
inline Floats div(Floats a, Floats b) { return _mm256_div_ps(a, b); }
inline Floats fma(Floats a, Floats b, Floats c) { return _mm256_fmadd_ps(a, b, c); }
inline Floats max(Floats a, Floats b) { return _mm256_max_ps(a, b); }
inline Floats min(Floats a, Floats b) { return _mm256_min_ps(a, b); }
inline Floats abs(Floats a) { return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), a); }
inline Floats round(Floats a) {
  return _mm256_round_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
inline Floats scale(Floats v, Floats whole) {
  const Ints power = _mm256_add_epi32(_mm256_cvtps_epi32(whole), all(127));
  const Ints clamped = _mm256_max_epi32(power, all(0));
  return mul(v, _mm256_castsi256_ps(_mm256_slli_epi32(clamped, 23)));
}
inline Floats mantissa(Floats v) {
  const Mask tiny = greater(all(1.17549435e-38f), v);  // no normal number
  const Floats normal = select(tiny, mul(v, all(16777216.0f)), v);
  const Ints fraction = _mm256_and_si256(_mm256_castps_si256(normal), all(0x007fffff));
  return _mm256_castsi256_ps(_mm256_or_si256(fraction, all(0x3f800000)));
}
inline Floats exponent(Floats v) {
  const Mask tiny = greater(all(1.17549435e-38f), v);  // no normal number
  const Floats normal = select(tiny, mul(v, all(16777216.0f)), v);
  const Ints power = _mm256_srli_epi32(_mm256_castps_si256(normal), 23);
  const Ints bias = select(tiny, all(127 + 24), all(127));
  return _mm256_cvtepi32_ps(sub(power, bias));
}

// Lanes.
inline Floats permute(Floats v, Ints index) {
  return _mm256_permutevar8x32_ps(v, index);
}
inline Ints permute(Ints v, Ints index) {
  return _mm256_permutevar8x32_epi32(v, index);
}
inline Floats to_floats(Ints v) { return _mm256_cvtepi32_ps(v); }
inline Floats as_floats(Ints v) { return _mm256_castsi256_ps(v); }

// Two words a lane.
inline Floats low_words(Ints v) { return to_floats(_mm256_and_si256(v, all(0xffff))); }
inline Floats high_words(Ints v) { return to_floats(_mm256_srli_epi32(v, 16)); }
inline Ints low_half(Ints words) {
  return _mm256_cvtepu16_epi32(_mm256_castsi256_si128(words));
}
inline Ints high_half(Ints words) {
  return _mm256_cvtepu16_epi32(_mm256_extracti128_si256(words, 1));
}
inline Mask low_half(WordMask mask) {
  const __m128i words = _mm256_castsi256_si128(mask.words);
  return _mm256_castsi256_ps(_mm256_cvtepi16_epi32(words));
}
inline Mask high_half(WordMask mask) {
  const __m128i words = _mm256_extracti128_si256(mask.words, 1);
  return _mm256_castsi256_ps(_mm256_cvtepi16_epi32(words));
}
inline WordMask differ(WordMask among, Ints a, Ints b) {
  return {_mm256_andnot_si256(_mm256_cmpeq_epi16(a, b), among.words)};
}
inline bool any_word_is(Ints v, Ints w, Ints a, Ints b) {
  const Ints is_v = _mm256_or_si256(_mm256_cmpeq_epi16(a, v), _mm256_cmpeq_epi16(b, v));
  const Ints is_w = _mm256_or_si256(_mm256_cmpeq_epi16(a, w), _mm256_cmpeq_epi16(b, w));
  const Ints is = _mm256_or_si256(is_v, is_w);
  return !_mm256_testz_si256(is, is);
}

// Memory.
inline Floats load(const float* from) { return _mm256_loadu_ps(from); }
inline Floats load(const Half* from) {
  return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
}
inline Ints load(const std::int32_t* from) {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
}
inline Floats load_some(const float* from, int count) {
  const Ints lanes = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
  return _mm256_maskload_ps(from, _mm256_cmpgt_epi32(all(count), lanes));
}
inline Floats load_some(const Half* from, int count) {
  Half lanes[8] = {};
  std::memcpy(lanes, from, static_cast<std::size_t>(count) * sizeof(Half));
  return load(lanes);
}
inline Ints load_labels(const std::uint8_t* from) {
  return _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(from)));
}
inline Ints load_labels(const std::uint16_t* from) {
  return _mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
}
inline Floats gather(const float* from, Ints index) {
  return _mm256_i32gather_ps(from, index, 4);
}
inline Ints gather(const std::int32_t* from, Ints index) {
  return _mm256_i32gather_epi32(from, index, 4);
}
inline void store(float* to, Floats v) { _mm256_storeu_ps(to, v); }
inline void store(Half* to, Floats v) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(to),
                   _mm256_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT));
}
inline void store(std::int32_t* to, Ints v) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), v);
}
inline void store(std::int8_t* to, Floats v) {
  const Ints whole = _mm256_cvtps_epi32(max(min(v, all(127.0f)), all(-128.0f)));
  const __m128i words = _mm_packs_epi32(_mm256_castsi256_si128(whole),
                                        _mm256_extracti128_si256(whole, 1));
  _mm_storel_epi64(reinterpret_cast<__m128i*>(to), _mm_packs_epi16(words, words));
}
inline void store_labels(std::uint8_t* to, Ints v) {
  const __m128i words =
      _mm_packus_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
  _mm_storel_epi64(reinterpret_cast<__m128i*>(to), _mm_packus_epi16(words, words));
}
inline void store_labels(std::uint16_t* to, Ints v) {
  const __m128i words =
      _mm_packus_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(to), words);
}
inline void store_either(std::uint8_t* to, Mask mask, std::int32_t yes,
                         std::int32_t no) {
  const __m128i if_so = _mm_set1_epi8(static_cast<char>(yes));
  const __m128i if_not = _mm_set1_epi8(static_cast<char>(no));
  const Ints lanes = _mm256_castps_si256(mask);
  const __m128i words = _mm_packs_epi32(_mm256_castsi256_si128(lanes),
                                        _mm256_extracti128_si256(lanes, 1));
  const __m128i bytes = _mm_packs_epi16(words, words);
  _mm_storel_epi64(reinterpret_cast<__m128i*>(to),
                   _mm_blendv_epi8(if_not, if_so, bytes));
}
inline void store_either(std::uint16_t* to, Mask mask, std::int32_t yes,
                         std::int32_t no) {
  store_labels(to, select(mask, all(yes), all(no)));
}
inline void store_ones(std::uint8_t* to, Mask mask) {
  store_labels(to, _mm256_srli_epi32(_mm256_castps_si256(mask), 31));
}

}  // namespace fuseg::FUSEG_LEVEL
