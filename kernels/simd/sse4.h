// SSE4.2, x86-64-v2: 4 lanes, a mask is a vector of all ones or 0. It has neither FMA
// nor F16C, gathers or masked loads.
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "common/half.h"

namespace fuseg::FUSEG_LEVEL {

using Floats = __m128;
using Ints = __m128i;
using Mask = __m128;
struct WordMask {
  Ints words;
};
constexpr int kLanes = 4;
constexpr bool kManyRegisters = false;

// Constants.
inline Floats all(float value) { return _mm_set1_ps(value); }
inline Ints all(std::int32_t value) { return _mm_set1_epi32(value); }
inline WordMask all_words() { return {all(-1)}; }
inline Mask lanes_mask(unsigned bits) {
  const Ints each = _mm_setr_epi32(1, 2, 4, 8);
  const Ints given = _mm_and_si128(all(static_cast<std::int32_t>(bits)), each);
  return _mm_castsi128_ps(_mm_cmpeq_epi32(given, each));
}

// Masks.
inline unsigned bits(Mask mask) { return static_cast<unsigned>(_mm_movemask_ps(mask)); }
inline int count(Mask mask) { return __builtin_popcount(bits(mask)); }
inline int count(WordMask mask) {
  const int bytes = _mm_movemask_epi8(mask.words);
  return __builtin_popcount(static_cast<unsigned>(bytes)) / 2;
}
inline bool all_of(Mask mask) { return bits(mask) == 0xf; }
inline Mask both(Mask a, Mask b) { return _mm_and_ps(a, b); }
inline Mask either(Mask a, Mask b) { return _mm_or_ps(a, b); }
inline Floats select(Mask mask, Floats yes, Floats no) {
  return _mm_blendv_ps(no, yes, mask);
}
inline Ints select(Mask mask, Ints yes, Ints no) {
  return _mm_blendv_epi8(no, yes, _mm_castps_si128(mask));
}

// Comparisons.
inline Mask equal(Floats a, Floats b) { return _mm_cmpeq_ps(a, b); }
inline Mask equal(Ints a, Ints b) { return _mm_castsi128_ps(_mm_cmpeq_epi32(a, b)); }
inline Mask greater(Floats a, Floats b) { return _mm_cmpgt_ps(a, b); }
inline Mask at_least(Floats a, Floats b) { return _mm_cmpge_ps(a, b); }
inline Mask differ(Mask among, Floats a, Floats b) {
  return _mm_and_ps(among, _mm_cmpneq_ps(a, b));
}

// Arithmetic.
inline Floats add(Floats a, Floats b) { return _mm_add_ps(a, b); }
inline Floats sub(Floats a, Floats b) { return _mm_sub_ps(a, b); }
inline Ints sub(Ints a, Ints b) { return _mm_sub_epi32(a, b); }
inline Floats mul(Floats a, Floats b) { return _mm_mul_ps(a, b); }
inline Floats div(Floats a, Floats b) { return _mm_div_ps(a, b); }
inline Floats fma(Floats a, Floats b, Floats c) { return add(mul(a, b), c); }
inline Floats max(Floats a, Floats b) { return _mm_max_ps(a, b); }
inline Floats min(Floats a, Floats b) { return _mm_min_ps(a, b); }
inline Floats abs(Floats a) { return _mm_andnot_ps(all(-0.0f), a); }
inline Floats round(Floats a) {
  return _mm_round_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
inline Floats scale(Floats v, Floats whole) {
  const Ints power = _mm_add_epi32(_mm_cvtps_epi32(whole), all(127));
  const Ints clamped = _mm_max_epi32(power, all(0));
  return mul(v, _mm_castsi128_ps(_mm_slli_epi32(clamped, 23)));
}
inline Floats mantissa(Floats v) {
  const Mask tiny = greater(all(1.17549435e-38f), v);  // no normal number
  const Floats normal = select(tiny, mul(v, all(16777216.0f)), v);
  const Ints fraction = _mm_and_si128(_mm_castps_si128(normal), all(0x007fffff));
  return _mm_castsi128_ps(_mm_or_si128(fraction, all(0x3f800000)));
}
inline Floats exponent(Floats v) {
  const Mask tiny = greater(all(1.17549435e-38f), v);  // no normal number
  const Floats normal = select(tiny, mul(v, all(16777216.0f)), v);
  const Ints power = _mm_srli_epi32(_mm_castps_si128(normal), 23);
  const Ints bias = select(tiny, all(127 + 24), all(127));
  return _mm_cvtepi32_ps(sub(power, bias));
}

// Lanes.
inline Floats permute(Floats v, Ints index) {
  const Ints spread = _mm_setr_epi8(0, 0, 0, 0, 4, 4, 4, 4, 8, 8, 8, 8, 12, 12, 12, 12);
  const Ints first = _mm_shuffle_epi8(_mm_slli_epi32(index, 2), spread);
  const Ints bytes = _mm_add_epi8(first, all(0x03020100));
  return _mm_castsi128_ps(_mm_shuffle_epi8(_mm_castps_si128(v), bytes));
}
inline Ints permute(Ints v, Ints index) {
  return _mm_castps_si128(permute(_mm_castsi128_ps(v), index));
}
inline Floats to_floats(Ints v) { return _mm_cvtepi32_ps(v); }
inline Floats as_floats(Ints v) { return _mm_castsi128_ps(v); }

// Two words a lane.
inline Floats low_words(Ints v) { return to_floats(_mm_and_si128(v, all(0xffff))); }
inline Floats high_words(Ints v) { return to_floats(_mm_srli_epi32(v, 16)); }
inline Ints low_half(Ints words) { return _mm_cvtepu16_epi32(words); }
inline Ints high_half(Ints words) { return _mm_unpackhi_epi16(words, all(0)); }
inline Mask low_half(WordMask mask) {
  return _mm_castsi128_ps(_mm_unpacklo_epi16(mask.words, mask.words));
}
inline Mask high_half(WordMask mask) {
  return _mm_castsi128_ps(_mm_unpackhi_epi16(mask.words, mask.words));
}
inline WordMask differ(WordMask among, Ints a, Ints b) {
  return {_mm_andnot_si128(_mm_cmpeq_epi16(a, b), among.words)};
}
inline bool any_word_is(Ints v, Ints w, Ints a, Ints b) {
  const Ints is_v = _mm_or_si128(_mm_cmpeq_epi16(a, v), _mm_cmpeq_epi16(b, v));
  const Ints is_w = _mm_or_si128(_mm_cmpeq_epi16(a, w), _mm_cmpeq_epi16(b, w));
  const Ints is = _mm_or_si128(is_v, is_w);
  return !_mm_testz_si128(is, is);
}

// Memory.
inline Floats load(const float* from) { return _mm_loadu_ps(from); }
inline Floats load(const Half* from) {
  const Ints half =
      _mm_cvtepu16_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(from)));
  const Ints sign = _mm_slli_epi32(_mm_and_si128(half, all(0x8000)), 16);
  const Ints rest = _mm_slli_epi32(_mm_and_si128(half, all(0x7fff)), 13);
  // As a float32's exponent and fraction this is 2^-112 of the value, denormals too.
  const Floats value = mul(_mm_castsi128_ps(rest), all(5.19229686e33f));
  const Ints special = _mm_cmpgt_epi32(rest, all((0x7c00 << 13) - 1));  // or NaN
  const Ints bits = _mm_or_si128(_mm_castps_si128(value), sign);
  return _mm_castsi128_ps(
      _mm_or_si128(bits, _mm_and_si128(special, _mm_or_si128(rest, all(0x7f800000)))));
}
inline Ints load(const std::int32_t* from) {
  return _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
}
inline Floats load_some(const float* from, int count) {
  float lanes[4] = {};
  std::memcpy(lanes, from, static_cast<std::size_t>(count) * sizeof(float));
  return load(lanes);
}
inline Floats load_some(const Half* from, int count) {
  Half lanes[4] = {};
  std::memcpy(lanes, from, static_cast<std::size_t>(count) * sizeof(Half));
  return load(lanes);
}
inline Ints load_labels(const std::uint8_t* from) {
  std::int32_t four;
  std::memcpy(&four, from, sizeof four);
  return _mm_cvtepu8_epi32(_mm_cvtsi32_si128(four));
}
inline Ints load_labels(const std::uint16_t* from) {
  return _mm_cvtepu16_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(from)));
}
inline Floats gather(const float* from, Ints index) {
  return _mm_setr_ps(
      from[_mm_extract_epi32(index, 0)], from[_mm_extract_epi32(index, 1)],
      from[_mm_extract_epi32(index, 2)], from[_mm_extract_epi32(index, 3)]);
}
inline Ints gather(const std::int32_t* from, Ints index) {
  return _mm_setr_epi32(
      from[_mm_extract_epi32(index, 0)], from[_mm_extract_epi32(index, 1)],
      from[_mm_extract_epi32(index, 2)], from[_mm_extract_epi32(index, 3)]);
}
inline void store(float* to, Floats v) { _mm_storeu_ps(to, v); }
inline void store(Half* to, Floats v) {
  // As to_half() does it, lane by lane.
  const Ints bits = _mm_castps_si128(v), rest = _mm_and_si128(bits, all(0x7fffffff));
  const Ints sign = _mm_and_si128(_mm_srli_epi32(bits, 16), all(0x8000));
  const Ints large = _mm_min_epi32(rest, all(0x47800000));  // infinity from there on
  const Ints odd = _mm_and_si128(_mm_srli_epi32(large, 13), all(1));
  const Ints rounded = _mm_add_epi32(_mm_add_epi32(large, all(0xfff)), odd);
  const Ints normal = _mm_srli_epi32(sub(rounded, all(0x38000000)), 13);
  // Adding 0.5 leaves the fraction of a denormal, rounded, in the low bits.
  const Floats shifted = add(_mm_castsi128_ps(large), all(0.5f));
  const Ints denormal = sub(_mm_castps_si128(shifted), all(0x3f000000));
  const Ints small = _mm_cmpgt_epi32(all(0x38800000), rest);
  const Ints finite = _mm_blendv_epi8(normal, denormal, small);
  const Ints nan = _mm_cmpgt_epi32(rest, all(0x7f800000));
  const Ints half = _mm_or_si128(_mm_blendv_epi8(finite, all(0x7e00), nan), sign);
  _mm_storel_epi64(reinterpret_cast<__m128i*>(to), _mm_packus_epi32(half, half));
}
inline void store(std::int32_t* to, Ints v) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(to), v);
}
inline void store(std::int8_t* to, Floats v) {
  const Ints whole = _mm_cvtps_epi32(max(min(v, all(127.0f)), all(-128.0f)));
  const Ints words = _mm_packs_epi32(whole, whole);
  const std::int32_t four = _mm_cvtsi128_si32(_mm_packs_epi16(words, words));
  std::memcpy(to, &four, sizeof four);
}
inline void store_labels(std::uint8_t* to, Ints v) {
  const Ints words = _mm_packus_epi32(v, v);
  const std::int32_t four = _mm_cvtsi128_si32(_mm_packus_epi16(words, words));
  std::memcpy(to, &four, sizeof four);
}
inline void store_labels(std::uint16_t* to, Ints v) {
  _mm_storel_epi64(reinterpret_cast<__m128i*>(to), _mm_packus_epi32(v, v));
}
inline void store_either(std::uint8_t* to, Mask mask, std::int32_t yes,
                         std::int32_t no) {
  store_labels(to, select(mask, all(yes), all(no)));
}
inline void store_either(std::uint16_t* to, Mask mask, std::int32_t yes,
                         std::int32_t no) {
  store_labels(to, select(mask, all(yes), all(no)));
}
inline void store_ones(std::uint8_t* to, Mask mask) {
  store_labels(to, _mm_srli_epi32(_mm_castps_si128(mask), 31));
}

}  // namespace fuseg::FUSEG_LEVEL
