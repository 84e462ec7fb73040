// NEON, every aarch64: 4 lanes, a mask is a vector of all ones or 0.
#pragma once

#include <arm_neon.h>

#include <cstdint>
#include <cstring>

#include "common/half.h"

namespace fuseg::FUSEG_LEVEL {

using Floats = float32x4_t;
using Ints = int32x4_t;
using Mask = uint32x4_t;
struct WordMask {
  uint16x8_t words;
};
constexpr int kLanes = 4;
constexpr bool kManyRegisters = true;

// Constants.
inline Floats all(float value) { return vdupq_n_f32(value); }
inline Ints all(std::int32_t value) { return vdupq_n_s32(value); }
inline WordMask all_words() { return {vdupq_n_u16(0xffff)}; }
inline Mask lanes_mask(unsigned bits) {
  const uint32x4_t each = {1, 2, 4, 8};
  return vtstq_u32(vdupq_n_u32(bits), each);
}

// Masks.
inline unsigned bits(Mask mask) {
  const uint32x4_t weights = {1, 2, 4, 8};
  return vaddvq_u32(vandq_u32(mask, weights));
}
inline int count(Mask mask) {
  return static_cast<int>(vaddvq_u32(vshrq_n_u32(mask, 31)));
}
inline int count(WordMask mask) { return vaddvq_u16(vshrq_n_u16(mask.words, 15)); }
inline bool all_of(Mask mask) { return vminvq_u32(mask) != 0; }
inline Mask both(Mask a, Mask b) { return vandq_u32(a, b); }
inline Mask either(Mask a, Mask b) { return vorrq_u32(a, b); }
inline Floats select(Mask mask, Floats yes, Floats no) {
  return vbslq_f32(mask, yes, no);
}
inline Ints select(Mask mask, Ints yes, Ints no) { return vbslq_s32(mask, yes, no); }

// Comparisons.
inline Mask equal(Floats a, Floats b) { return vceqq_f32(a, b); }
inline Mask equal(Ints a, Ints b) { return vceqq_s32(a, b); }
inline Mask greater(Floats a, Floats b) { return vcgtq_f32(a, b); }
inline Mask at_least(Floats a, Floats b) { return vcgeq_f32(a, b); }
inline Mask differ(Mask among, Floats a, Floats b) {
  return vbicq_u32(among, vceqq_f32(a, b));
}

// Arithmetic.
inline Floats add(Floats a, Floats b) { return vaddq_f32(a, b); }
inline Floats sub(Floats a, Floats b) { return vsubq_f32(a, b); }
inline Ints sub(Ints a, Ints b) { return vsubq_s32(a, b); }
inline Floats mul(Floats a, Floats b) { return vmulq_f32(a, b); }
inline Floats div(Floats a, Floats b) { return vdivq_f32(a, b); }
inline Floats fma(Floats a, Floats b, Floats c) { return vfmaq_f32(c, a, b); }
inline Floats max(Floats a, Floats b) { return select(greater(a, b), a, b); }
inline Floats min(Floats a, Floats b) { return select(greater(b, a), a, b); }
inline Floats abs(Floats a) { return vabsq_f32(a); }
inline Floats round(Floats a) { return vrndnq_f32(a); }
inline Floats scale(Floats v, Floats whole) {
  const Ints power = vaddq_s32(vcvtq_s32_f32(whole), all(127));
  const Ints clamped = vmaxq_s32(power, all(0));
  return mul(v, vreinterpretq_f32_s32(vshlq_n_s32(clamped, 23)));
}
inline Floats mantissa(Floats v) {
  const Mask tiny = greater(all(1.17549435e-38f), v);  // no normal number
  const Floats normal = select(tiny, mul(v, all(16777216.0f)), v);
  const Ints fraction = vandq_s32(vreinterpretq_s32_f32(normal), all(0x007fffff));
  return vreinterpretq_f32_s32(vorrq_s32(fraction, all(0x3f800000)));
}
inline Floats exponent(Floats v) {
  const Mask tiny = greater(all(1.17549435e-38f), v);  // no normal number
  const Floats normal = select(tiny, mul(v, all(16777216.0f)), v);
  const Ints power = vshrq_n_s32(vreinterpretq_s32_f32(normal), 23);
  const Ints bias = select(tiny, all(127 + 24), all(127));
  return vcvtq_f32_s32(sub(power, bias));
}

// Lanes.
inline Floats permute(Floats v, Ints index) {
  const uint8x16_t bytes = vaddq_u8(
      vreinterpretq_u8_u32(vmulq_n_u32(vreinterpretq_u32_s32(index), 0x04040404u)),
      vreinterpretq_u8_u32(vdupq_n_u32(0x03020100u)));
  return vreinterpretq_f32_u8(vqtbl1q_u8(vreinterpretq_u8_f32(v), bytes));
}
inline Ints permute(Ints v, Ints index) {
  return vreinterpretq_s32_f32(permute(vreinterpretq_f32_s32(v), index));
}
inline Floats to_floats(Ints v) { return vcvtq_f32_s32(v); }
inline Floats as_floats(Ints v) { return vreinterpretq_f32_s32(v); }

// Two words a lane.
inline Floats low_words(Ints v) { return to_floats(vandq_s32(v, all(0xffff))); }
inline Floats high_words(Ints v) {
  return vcvtq_f32_u32(vshrq_n_u32(vreinterpretq_u32_s32(v), 16));
}
inline Ints low_half(Ints words) {
  return vreinterpretq_s32_u32(vmovl_u16(vget_low_u16(vreinterpretq_u16_s32(words))));
}
inline Ints high_half(Ints words) {
  return vreinterpretq_s32_u32(vmovl_u16(vget_high_u16(vreinterpretq_u16_s32(words))));
}
inline Mask low_half(WordMask mask) {
  const int16x4_t words = vreinterpret_s16_u16(vget_low_u16(mask.words));
  return vreinterpretq_u32_s32(vmovl_s16(words));
}
inline Mask high_half(WordMask mask) {
  const int16x4_t words = vreinterpret_s16_u16(vget_high_u16(mask.words));
  return vreinterpretq_u32_s32(vmovl_s16(words));
}
inline WordMask differ(WordMask among, Ints a, Ints b) {
  const uint16x8_t same = vceqq_u16(vreinterpretq_u16_s32(a), vreinterpretq_u16_s32(b));
  return {vbicq_u16(among.words, same)};
}
inline bool any_word_is(Ints v, Ints w, Ints a, Ints b) {
  const auto is = [](Ints x, Ints y) {
    return vceqq_u16(vreinterpretq_u16_s32(x), vreinterpretq_u16_s32(y));
  };
  const uint16x8_t any =
      vorrq_u16(vorrq_u16(is(a, v), is(b, v)), vorrq_u16(is(a, w), is(b, w)));
  return vmaxvq_u16(any) != 0;
}

// Memory.
inline Floats load(const float* from) { return vld1q_f32(from); }
inline Floats load(const Half* from) {
  return vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(&from->bits)));
}
inline Ints load(const std::int32_t* from) { return vld1q_s32(from); }
inline Floats load_some(const float* from, int count) {
  float lanes[4] = {0, 0, 0, 0};
  for (int i = 0; i < count && i < 4; ++i) lanes[i] = from[i];
  return load(lanes);
}
inline Floats load_some(const Half* from, int count) {
  Half lanes[4] = {};
  for (int i = 0; i < count && i < 4; ++i) lanes[i] = from[i];
  return load(lanes);
}
inline Ints load_labels(const std::uint8_t* from) {
  std::uint32_t four;
  std::memcpy(&four, from, sizeof four);
  const uint16x8_t words = vmovl_u8(vreinterpret_u8_u32(vdup_n_u32(four)));
  return vreinterpretq_s32_u32(vmovl_u16(vget_low_u16(words)));
}
inline Ints load_labels(const std::uint16_t* from) {
  return vreinterpretq_s32_u32(vmovl_u16(vld1_u16(from)));
}
inline Floats gather(const float* from, Ints index) {
  const float lanes[4] = {
      from[vgetq_lane_s32(index, 0)], from[vgetq_lane_s32(index, 1)],
      from[vgetq_lane_s32(index, 2)], from[vgetq_lane_s32(index, 3)]};
  return load(lanes);
}
inline Ints gather(const std::int32_t* from, Ints index) {
  const std::int32_t lanes[4] = {
      from[vgetq_lane_s32(index, 0)], from[vgetq_lane_s32(index, 1)],
      from[vgetq_lane_s32(index, 2)], from[vgetq_lane_s32(index, 3)]};
  return load(lanes);
}
inline void store(float* to, Floats v) { vst1q_f32(to, v); }
inline void store(Half* to, Floats v) {
  vst1_u16(&to->bits, vreinterpret_u16_f16(vcvt_f16_f32(v)));
}
inline void store(std::int32_t* to, Ints v) { vst1q_s32(to, v); }
inline void store(std::int8_t* to, Floats v) {
  const Floats inside = vmaxq_f32(vminq_f32(v, all(127.0f)), all(-128.0f));
  const int16x4_t words = vmovn_s32(vcvtnq_s32_f32(inside));
  const int8x8_t bytes = vmovn_s16(vcombine_s16(words, words));
  vst1_lane_s32(reinterpret_cast<std::int32_t*>(to), vreinterpret_s32_s8(bytes), 0);
}
inline void store_labels(std::uint8_t* to, Ints v) {
  const uint16x4_t words = vmovn_u32(vreinterpretq_u32_s32(v));
  const uint8x8_t bytes = vmovn_u16(vcombine_u16(words, words));
  vst1_lane_u32(reinterpret_cast<std::uint32_t*>(to), vreinterpret_u32_u8(bytes), 0);
}
inline void store_labels(std::uint16_t* to, Ints v) {
  vst1_u16(to, vmovn_u32(vreinterpretq_u32_s32(v)));
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
  store_labels(to, vreinterpretq_s32_u32(vshrq_n_u32(mask, 31)));
}

}  // namespace fuseg::FUSEG_LEVEL
