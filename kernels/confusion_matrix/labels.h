// Pairs of labels by the vector, for confusion_matrix_simd.cpp only, as each level does
// them best:
//
//   changes()    where, of 64 pixels, a pair differs from the pair before it
//   append()     writes the places of the set bits, in order, and returns how many;
//                may write up to 64 numbers
//   SomeCells    the cells of kSome pixels, where 16 bits can number all cells
#pragma once

#include <cstdint>

#include "confusion_matrix/confusion_matrix.h"

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

namespace fuseg::FUSEG_LEVEL::counting {

// For `use(k, cell)`, k counting from 0: the four 16-bit numbers of each of these.
template <class... Words, class Use>
inline void for_quarters(const Use& use, Words... words) {
  int k = 0;
  const auto four = [&](std::uint64_t w) {
    use(k, w & 0xffff);
    use(k + 1, w >> 16 & 0xffff);
    use(k + 2, w >> 32 & 0xffff);
    use(k + 3, w >> 48);
    k += 4;
  };
  (four(words), ...);
}

#if defined(__AVX512VBMI__)

inline std::uint64_t changes(const std::uint8_t* truth,
                             const std::uint8_t* prediction) {
  const __m512i t = _mm512_loadu_si512(truth), p = _mm512_loadu_si512(prediction);
  return _mm512_cmpneq_epi8_mask(t, _mm512_loadu_si512(truth - 1)) |
         _mm512_cmpneq_epi8_mask(p, _mm512_loadu_si512(prediction - 1));
}

inline std::uint64_t changes(const std::uint16_t* truth,
                             const std::uint16_t* prediction) {
  const auto half = [&](int at) -> std::uint64_t {
    const __m512i t = _mm512_loadu_si512(truth + at);
    const __m512i p = _mm512_loadu_si512(prediction + at);
    return _mm512_cmpneq_epi16_mask(t, _mm512_loadu_si512(truth + at - 1)) |
           _mm512_cmpneq_epi16_mask(p, _mm512_loadu_si512(prediction + at - 1));
  };
  return half(0) | half(32) << 32;
}

inline int append(std::uint16_t* to, std::uint64_t bits, int from) {
  alignas(64) static constexpr std::uint8_t kCount[64] = {
      0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14, 15,
      16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31,
      32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 44, 45, 46, 47,
      48, 49, 50, 51, 52, 53, 54, 55, 56, 57, 58, 59, 60, 61, 62, 63};
  const __m512i places = _mm512_maskz_compress_epi8(bits, _mm512_load_si512(kCount));
  const __m256i base = _mm256_set1_epi16(static_cast<short>(from));
  const auto store = [&](int at, __m128i bytes) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to + at),
                        _mm256_add_epi16(_mm256_cvtepu8_epi16(bytes), base));
  };
  // GCC 12 warns of its own header where an intrinsic has no mask.
  store(0, _mm512_maskz_extracti32x4_epi32(0xf, places, 0));
  const int count = __builtin_popcountll(bits);
  if (count > 16) {
    store(16, _mm512_maskz_extracti32x4_epi32(0xf, places, 1));
    store(32, _mm512_maskz_extracti32x4_epi32(0xf, places, 2));
    store(48, _mm512_maskz_extracti32x4_epi32(0xf, places, 3));
  }
  return count;
}

#else

#if defined(__AVX2__)

inline __m256i load_32(const void* from) {
  return _mm256_loadu_si256(static_cast<const __m256i*>(from));
}

inline std::uint64_t changes(const std::uint8_t* truth,
                             const std::uint8_t* prediction) {
  const auto half = [&](int at) -> std::uint32_t {
    const __m256i same = _mm256_and_si256(
        _mm256_cmpeq_epi8(load_32(truth + at), load_32(truth + at - 1)),
        _mm256_cmpeq_epi8(load_32(prediction + at), load_32(prediction + at - 1)));
    return ~static_cast<std::uint32_t>(_mm256_movemask_epi8(same));
  };
  return half(0) | std::uint64_t{half(32)} << 32;
}

inline std::uint64_t changes(const std::uint16_t* truth,
                             const std::uint16_t* prediction) {
  const auto same = [&](int at) {
    return _mm256_and_si256(
        _mm256_cmpeq_epi16(load_32(truth + at), load_32(truth + at - 1)),
        _mm256_cmpeq_epi16(load_32(prediction + at), load_32(prediction + at - 1)));
  };
  const auto half = [&](int at) -> std::uint32_t {
    const __m256i packed = _mm256_packs_epi16(same(at), same(at + 16));
    const __m256i in_order = _mm256_permute4x64_epi64(packed, 0xd8);
    return ~static_cast<std::uint32_t>(_mm256_movemask_epi8(in_order));
  };
  return half(0) | std::uint64_t{half(32)} << 32;
}

#elif defined(__SSE4_1__)

inline __m128i load_16(const void* from) {
  return _mm_loadu_si128(static_cast<const __m128i*>(from));
}

inline std::uint64_t changes(const std::uint8_t* truth,
                             const std::uint8_t* prediction) {
  const auto quarter = [&](int at) {
    const __m128i same = _mm_and_si128(
        _mm_cmpeq_epi8(load_16(truth + at), load_16(truth + at - 1)),
        _mm_cmpeq_epi8(load_16(prediction + at), load_16(prediction + at - 1)));
    return static_cast<std::uint64_t>(_mm_movemask_epi8(same));
  };
  return ~(quarter(0) | quarter(16) << 16 | quarter(32) << 32 | quarter(48) << 48);
}

inline std::uint64_t changes(const std::uint16_t* truth,
                             const std::uint16_t* prediction) {
  const auto same = [&](int at) {
    return _mm_and_si128(
        _mm_cmpeq_epi16(load_16(truth + at), load_16(truth + at - 1)),
        _mm_cmpeq_epi16(load_16(prediction + at), load_16(prediction + at - 1)));
  };
  const auto quarter = [&](int at) {
    const __m128i packed = _mm_packs_epi16(same(at), same(at + 8));
    return static_cast<std::uint64_t>(_mm_movemask_epi8(packed));
  };
  return ~(quarter(0) | quarter(16) << 16 | quarter(32) << 32 | quarter(48) << 48);
}

#elif defined(__aarch64__)

// A bit of each of 64 bytes that are all ones or 0.
inline std::uint64_t bits_of(uint8x16_t a, uint8x16_t b, uint8x16_t c, uint8x16_t d) {
  const uint8x16_t weights = {1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128};
  const uint8x16_t ab = vpaddq_u8(vandq_u8(a, weights), vandq_u8(b, weights));
  const uint8x16_t cd = vpaddq_u8(vandq_u8(c, weights), vandq_u8(d, weights));
  const uint8x16_t abcd = vpaddq_u8(ab, cd);
  return vgetq_lane_u64(vreinterpretq_u64_u8(vpaddq_u8(abcd, abcd)), 0);
}

inline std::uint64_t changes(const std::uint8_t* truth,
                             const std::uint8_t* prediction) {
  const auto same = [&](int at) {
    return vandq_u8(vceqq_u8(vld1q_u8(truth + at), vld1q_u8(truth + at - 1)),
                    vceqq_u8(vld1q_u8(prediction + at), vld1q_u8(prediction + at - 1)));
  };
  return ~bits_of(same(0), same(16), same(32), same(48));
}

inline std::uint64_t changes(const std::uint16_t* truth,
                             const std::uint16_t* prediction) {
  const auto eight = [&](int at) {
    return vmovn_u16(vandq_u16(
        vceqq_u16(vld1q_u16(truth + at), vld1q_u16(truth + at - 1)),
        vceqq_u16(vld1q_u16(prediction + at), vld1q_u16(prediction + at - 1))));
  };
  const auto same = [&](int at) { return vcombine_u8(eight(at), eight(at + 8)); };
  return ~bits_of(same(0), same(16), same(32), same(48));
}

#endif

inline int append(std::uint16_t* to, std::uint64_t bits, int from) {
  const int count = __builtin_popcountll(bits);
  while (bits != 0) {
    for (int i = 0; i < 4; ++i) {
      // Beyond the last set bit anything: nobody reads it.
      to[i] = static_cast<std::uint16_t>(from + __builtin_ctzll(bits | 1ull << 63));
      bits &= bits - 1;
    }
    to += 4;
  }
  return count;
}

#endif

// kSome unsigned words.
#if defined(__AVX2__)

constexpr int kSome = 16;
using Words = __m256i;

inline Words all(int value) { return _mm256_set1_epi16(static_cast<short>(value)); }
inline Words load(const std::uint16_t* from) {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
}
inline Words load(const std::uint8_t* from) {
  return _mm256_cvtepu8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
}
inline Words both(Words a, Words b) { return _mm256_and_si256(a, b); }
inline Words equal(Words a, Words b) { return _mm256_cmpeq_epi16(a, b); }
inline Words min(Words a, Words b) { return _mm256_min_epu16(a, b); }
inline Words add(Words a, Words b) { return _mm256_add_epi16(a, b); }
inline Words mul(Words a, Words b) { return _mm256_mullo_epi16(a, b); }
inline Words select(Words mask, Words yes, Words no) {
  return _mm256_blendv_epi8(no, yes, mask);
}
template <class Use>
inline void for_words(Words words, const Use& use) {
  const auto quarter = [](long long from) { return static_cast<std::uint64_t>(from); };
  const __m128i low = _mm256_castsi256_si128(words);
  const __m128i high = _mm256_extracti128_si256(words, 1);
  for_quarters(use, quarter(_mm_cvtsi128_si64(low)), quarter(_mm_extract_epi64(low, 1)),
               quarter(_mm_cvtsi128_si64(high)), quarter(_mm_extract_epi64(high, 1)));
}

#elif defined(__SSE4_1__)

constexpr int kSome = 8;
using Words = __m128i;

inline Words all(int value) { return _mm_set1_epi16(static_cast<short>(value)); }
inline Words load(const std::uint16_t* from) { return load_16(from); }
inline Words load(const std::uint8_t* from) {
  return _mm_cvtepu8_epi16(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(from)));
}
inline Words both(Words a, Words b) { return _mm_and_si128(a, b); }
inline Words equal(Words a, Words b) { return _mm_cmpeq_epi16(a, b); }
inline Words min(Words a, Words b) { return _mm_min_epu16(a, b); }
inline Words add(Words a, Words b) { return _mm_add_epi16(a, b); }
inline Words mul(Words a, Words b) { return _mm_mullo_epi16(a, b); }
inline Words select(Words mask, Words yes, Words no) {
  return _mm_blendv_epi8(no, yes, mask);
}
template <class Use>
inline void for_words(Words words, const Use& use) {
  const auto quarter = [](long long from) { return static_cast<std::uint64_t>(from); };
  for_quarters(use, quarter(_mm_cvtsi128_si64(words)),
               quarter(_mm_extract_epi64(words, 1)));
}

#elif defined(__aarch64__)

constexpr int kSome = 8;
using Words = uint16x8_t;

inline Words all(int value) { return vdupq_n_u16(static_cast<std::uint16_t>(value)); }
inline Words load(const std::uint16_t* from) { return vld1q_u16(from); }
inline Words load(const std::uint8_t* from) { return vmovl_u8(vld1_u8(from)); }
inline Words both(Words a, Words b) { return vandq_u16(a, b); }
inline Words equal(Words a, Words b) { return vceqq_u16(a, b); }
inline Words min(Words a, Words b) { return vminq_u16(a, b); }
inline Words add(Words a, Words b) { return vaddq_u16(a, b); }
inline Words mul(Words a, Words b) { return vmulq_u16(a, b); }
inline Words select(Words mask, Words yes, Words no) {
  return vbslq_u16(mask, yes, no);
}
template <class Use>
inline void for_words(Words words, const Use& use) {
  const uint64x2_t quarters = vreinterpretq_u64_u16(words);
  for_quarters(use, vgetq_lane_u64(quarters, 0), vgetq_lane_u64(quarters, 1));
}

#endif

class SomeCells {
 public:
  SomeCells(int classes, int ignore)
      : classes_(all(classes)),
        ignore_(all(ignore)),
        ignores_(all(ignore < 0 ? 0 : -1)),
        last_(all(classes + 1)) {}

  template <typename Label, class Use>
  void of(const Label* truth, const Label* prediction, const Use& use) const {
    const Words t = load(truth);
    const Words ignored = both(equal(t, ignore_), ignores_);
    const Words y = select(ignored, last_, min(t, classes_));
    const Words x = min(load(prediction), classes_);
    for_words(add(mul(y, last_), x), use);
  }

 private:
  Words classes_, ignore_, ignores_, last_;
};

}  // namespace fuseg::FUSEG_LEVEL::counting
