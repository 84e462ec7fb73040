// What kernels that label pixels need beyond simd.h: comparisons of whole numbers,
// masks combined, labels stored.
#pragma once

#include <cstdint>
#include <cstring>

#include "simd/simd.h"

namespace fuseg::FUSEG_LEVEL {

inline void store_labels(std::uint8_t* to, Ints v) { store_bytes(to, v); }
inline void store_labels(std::uint16_t* to, Ints v);

// One of two labels in every lane.
template <typename Label>
struct Choice {
  Ints no, yes;
  Choice(std::int32_t no_label, std::int32_t yes_label)
      : no(all(no_label)), yes(all(yes_label)) {}
  void store(Label* to, Mask chosen) const {
    store_labels(to, select(chosen, yes, no));
  }
};

#if defined(__AVX512VBMI__)

constexpr bool kManyRegisters = true;
inline Floats load_some(const Half* from, int count) {
  const __mmask16 lanes = static_cast<__mmask16>((1u << count) - 1);
  return _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(lanes, from));
}
inline void store(std::int32_t* to, Ints v) { _mm512_storeu_si512(to, v); }
inline Floats abs(Floats a) { return _mm512_abs_ps(a); }
inline Floats round(Floats a) {
  return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
// v * 2^whole; 0 where that is too small for a normal number.
inline Floats scale(Floats v, Floats whole) { return _mm512_scalef_ps(v, whole); }
inline Ints sub(Ints a, Ints b) { return _mm512_sub_epi32(a, b); }
inline Ints permute(Ints v, Ints index) { return _mm512_permutexvar_epi32(index, v); }
inline Floats gather(const float* from, Ints index) {
  return _mm512_i32gather_ps(index, from, 4);
}
inline Ints gather(const std::int32_t* from, Ints index) {
  return _mm512_i32gather_epi32(index, from, 4);
}
inline Mask equal(Ints a, Ints b) { return _mm512_cmpeq_epi32_mask(a, b); }
inline Mask equal(Floats a, Floats b) { return _mm512_cmp_ps_mask(a, b, _CMP_EQ_OQ); }
inline Mask at_least(Floats a, Floats b) {
  return _mm512_cmp_ps_mask(a, b, _CMP_GE_OQ);
}
inline Mask lanes_mask(unsigned bits) { return static_cast<Mask>(bits); }
inline void store_labels(std::uint16_t* to, Ints v) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), _mm512_cvtepi32_epi16(v));
}
template <>
struct Choice<std::uint8_t> {
  __m128i no, yes;
  Choice(std::int32_t no_label, std::int32_t yes_label)
      : no(_mm_set1_epi8(static_cast<char>(no_label))),
        yes(_mm_set1_epi8(static_cast<char>(yes_label))) {}
  void store(std::uint8_t* to, Mask chosen) const {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to),
                     _mm_mask_blend_epi8(chosen, no, yes));
  }
};

#elif defined(__AVX2__)

constexpr bool kManyRegisters = false;
inline Floats load_some(const Half* from, int count) {
  Half lanes[8] = {};
  std::memcpy(lanes, from, static_cast<std::size_t>(count) * sizeof(Half));
  return load(lanes);
}
inline void store(std::int32_t* to, Ints v) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), v);
}
inline Floats abs(Floats a) { return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), a); }
inline Floats round(Floats a) {
  return _mm256_round_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
// v * 2^whole; 0 where that is too small for a normal number.
inline Floats scale(Floats v, Floats whole) {
  const __m256i power = _mm256_add_epi32(_mm256_cvtps_epi32(whole), all(127));
  const __m256i clamped = _mm256_max_epi32(power, _mm256_setzero_si256());
  return _mm256_mul_ps(v, _mm256_castsi256_ps(_mm256_slli_epi32(clamped, 23)));
}
inline Ints sub(Ints a, Ints b) { return _mm256_sub_epi32(a, b); }
inline Ints permute(Ints v, Ints index) {
  return _mm256_permutevar8x32_epi32(v, index);
}
inline Floats gather(const float* from, Ints index) {
  return _mm256_i32gather_ps(from, index, 4);
}
inline Ints gather(const std::int32_t* from, Ints index) {
  return _mm256_i32gather_epi32(from, index, 4);
}
inline Mask equal(Ints a, Ints b) {
  return _mm256_castsi256_ps(_mm256_cmpeq_epi32(a, b));
}
inline Mask equal(Floats a, Floats b) { return _mm256_cmp_ps(a, b, _CMP_EQ_OQ); }
inline Mask at_least(Floats a, Floats b) { return _mm256_cmp_ps(a, b, _CMP_GE_OQ); }
inline Mask lanes_mask(unsigned bits) {
  const __m256i each = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
  const __m256i given = _mm256_and_si256(all(static_cast<std::int32_t>(bits)), each);
  return _mm256_castsi256_ps(_mm256_cmpeq_epi32(given, each));
}
inline void store_labels(std::uint16_t* to, Ints v) {
  _mm_storeu_si128(
      reinterpret_cast<__m128i*>(to),
      _mm_packus_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1)));
}
template <>
struct Choice<std::uint8_t> {
  __m128i no, yes;
  Choice(std::int32_t no_label, std::int32_t yes_label)
      : no(_mm_set1_epi8(static_cast<char>(no_label))),
        yes(_mm_set1_epi8(static_cast<char>(yes_label))) {}
  void store(std::uint8_t* to, Mask chosen) const {
    const __m256i lanes = _mm256_castps_si256(chosen);
    const __m128i words = _mm_packs_epi32(_mm256_castsi256_si128(lanes),
                                          _mm256_extracti128_si256(lanes, 1));
    const __m128i bytes = _mm_packs_epi16(words, words);
    _mm_storel_epi64(reinterpret_cast<__m128i*>(to), _mm_blendv_epi8(no, yes, bytes));
  }
};

#elif defined(__aarch64__)

constexpr bool kManyRegisters = true;
inline Floats load_some(const Half* from, int count) {
  Half lanes[4] = {};
  for (int i = 0; i < count && i < 4; ++i) lanes[i] = from[i];
  return load(lanes);
}
inline void store(std::int32_t* to, Ints v) { vst1q_s32(to, v); }
inline Floats abs(Floats a) { return vabsq_f32(a); }
inline Floats round(Floats a) { return vrndnq_f32(a); }
// v * 2^whole; 0 where that is too small for a normal number.
inline Floats scale(Floats v, Floats whole) {
  const int32x4_t power = vmaxq_s32(vaddq_s32(vcvtq_s32_f32(whole), all(127)), all(0));
  return vmulq_f32(v, vreinterpretq_f32_s32(vshlq_n_s32(power, 23)));
}
inline Ints sub(Ints a, Ints b) { return vsubq_s32(a, b); }
inline Ints permute(Ints v, Ints index) {
  return vreinterpretq_s32_f32(permute(vreinterpretq_f32_s32(v), index));
}
inline Floats gather(const float* from, Ints index) {
  const float lanes[4] = {
      from[vgetq_lane_s32(index, 0)], from[vgetq_lane_s32(index, 1)],
      from[vgetq_lane_s32(index, 2)], from[vgetq_lane_s32(index, 3)]};
  return vld1q_f32(lanes);
}
inline Ints gather(const std::int32_t* from, Ints index) {
  const std::int32_t lanes[4] = {
      from[vgetq_lane_s32(index, 0)], from[vgetq_lane_s32(index, 1)],
      from[vgetq_lane_s32(index, 2)], from[vgetq_lane_s32(index, 3)]};
  return vld1q_s32(lanes);
}
inline Mask equal(Ints a, Ints b) { return vceqq_s32(a, b); }
inline Mask equal(Floats a, Floats b) { return vceqq_f32(a, b); }
inline Mask at_least(Floats a, Floats b) { return vcgeq_f32(a, b); }
inline Mask lanes_mask(unsigned bits) {
  const uint32x4_t each = {1, 2, 4, 8};
  return vtstq_u32(vdupq_n_u32(bits), each);
}
inline void store_labels(std::uint16_t* to, Ints v) {
  vst1_u16(to, vmovn_u32(vreinterpretq_u32_s32(v)));
}

#endif

}  // namespace fuseg::FUSEG_LEVEL
