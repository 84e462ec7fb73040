// AVX2: 32 pixels are three vectors, each half of which is of 16 pixels.
#pragma once

#include <immintrin.h>

#include <cstdint>

#include "overlay/pixels.h"

namespace fuseg::FUSEG_LEVEL::blending {

constexpr int kPixels = 32;
using Labels = __m256i;

// Shuffles stay in their half: the low halves are the first 16 pixels, 48 bytes, the
// high halves the other 16.
struct Pixels {
  __m256i part[3];
};

inline __m256i load_halves(const std::uint8_t* low, const std::uint8_t* high) {
  const __m128i first = _mm_loadu_si128(reinterpret_cast<const __m128i*>(low));
  return _mm256_inserti128_si256(
      _mm256_castsi128_si256(first),
      _mm_loadu_si128(reinterpret_cast<const __m128i*>(high)), 1);
}

inline Labels load_labels(const std::uint8_t* from) {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
}
inline Labels all_labels(int label) {
  return _mm256_set1_epi8(static_cast<char>(label));
}
inline Labels larger(Labels a, Labels b) { return _mm256_max_epu8(a, b); }
inline Labels same(Labels a, Labels b) { return _mm256_cmpeq_epi8(a, b); }
inline bool any(Labels mask) { return _mm256_movemask_epi8(mask) != 0; }
inline Labels without(Labels labels, Labels mask) {
  return _mm256_andnot_si256(mask, labels);
}
inline void store_labels(std::uint8_t* to, Labels v) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), v);
}

inline Pixels load_pixels(const std::uint8_t* from) {
  return {{load_halves(from, from + 48), load_halves(from + 16, from + 64),
           load_halves(from + 32, from + 80)}};
}
inline void store_pixels(std::uint8_t* to, const Pixels& pixels) {
  for (int j = 0; j < 3; ++j) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to + 16 * j),
                     _mm256_castsi256_si128(pixels.part[j]));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to + 48 + 16 * j),
                     _mm256_extracti128_si256(pixels.part[j], 1));
  }
}
inline Pixels black() { return {}; }

// Three planes woven into pixels. Byte i of part j is channel (i + j) % 3 of pixel
// (16 * j + i) / 3, so a plane's 16 bytes go to 16 different places, each in one part.
[[gnu::always_inline]] inline Pixels weave(__m256i r, __m256i g, __m256i b) {
  const auto both = [](__m128i half) { return _mm256_broadcastsi128_si256(half); };
  r = _mm256_shuffle_epi8(
      r, both(_mm_setr_epi8(0, 11, 6, 1, 12, 7, 2, 13, 8, 3, 14, 9, 4, 15, 10, 5)));
  g = _mm256_shuffle_epi8(
      g, both(_mm_setr_epi8(5, 0, 11, 6, 1, 12, 7, 2, 13, 8, 3, 14, 9, 4, 15, 10)));
  b = _mm256_shuffle_epi8(
      b, both(_mm_setr_epi8(10, 5, 0, 11, 6, 1, 12, 7, 2, 13, 8, 3, 14, 9, 4, 15)));
  const __m256i third[3] = {
      both(_mm_setr_epi8(-1, 0, 0, -1, 0, 0, -1, 0, 0, -1, 0, 0, -1, 0, 0, -1)),
      both(_mm_setr_epi8(0, -1, 0, 0, -1, 0, 0, -1, 0, 0, -1, 0, 0, -1, 0, 0)),
      both(_mm_setr_epi8(0, 0, -1, 0, 0, -1, 0, 0, -1, 0, 0, -1, 0, 0, -1, 0))};
  Pixels pixels;
  for (int j = 0; j < 3; ++j) {
    const __m256i red_or_green = _mm256_blendv_epi8(g, r, third[(3 - j) % 3]);
    pixels.part[j] = _mm256_blendv_epi8(red_or_green, b, third[(5 - j) % 3]);
  }
  return pixels;
}
inline Pixels thrice(Labels mask) { return weave(mask, mask, mask); }

inline Pixels select(const Pixels& mask, const Pixels& yes, const Pixels& no) {
  Pixels chosen;
  for (int j = 0; j < 3; ++j) {
    chosen.part[j] = _mm256_blendv_epi8(no.part[j], yes.part[j], mask.part[j]);
  }
  return chosen;
}
inline Pixels average(const Pixels& a, const Pixels& b) {
  Pixels mean;
  for (int j = 0; j < 3; ++j) mean.part[j] = _mm256_avg_epu8(a.part[j], b.part[j]);
  return mean;
}

// Weights are the unsigned bytes of the multiplication and pixels the signed ones, 128
// too low: so the sum, 32,768 too low, fits a signed word.
class Blend {
 public:
  explicit Blend(int alpha)
      : weights_(_mm256_set1_epi16(static_cast<short>(alpha << 8 | (256 - alpha)))) {}

  [[gnu::always_inline]] Pixels operator()(const Pixels& frame,
                                           const Pixels& colour) const {
    const __m256i low = _mm256_set1_epi8(-128);
    const __m256i round = _mm256_set1_epi16(static_cast<short>(0x8080));
    Pixels mixed;
    for (int j = 0; j < 3; ++j) {
      const __m256i f = _mm256_xor_si256(frame.part[j], low);
      const __m256i c = _mm256_xor_si256(colour.part[j], low);
      const __m256i first = _mm256_maddubs_epi16(weights_, _mm256_unpacklo_epi8(f, c));
      const __m256i second = _mm256_maddubs_epi16(weights_, _mm256_unpackhi_epi8(f, c));
      mixed.part[j] =
          _mm256_packus_epi16(_mm256_srli_epi16(_mm256_add_epi16(first, round), 8),
                              _mm256_srli_epi16(_mm256_add_epi16(second, round), 8));
    }
    return mixed;
  }

 private:
  __m256i weights_;
};

// Tables of 16 colours; as many as the palette needs if kTables is 0.
template <int kTables>
class Colours {
 public:
  Colours(const std::uint8_t* palette, int colours)
      : planes_{{palette, colours, 0}, {palette, colours, 1}, {palette, colours, 2}},
        tables_((colours + 15) / 16) {}

  // A table gives 0 where the index has its high bit: below the table a label wraps to
  // one that has, beyond it the addition saturates to one.
  [[gnu::always_inline]] Pixels of(Labels labels) const {
    __m256i channel[3] = {};
    for (int t = 0; t < (kTables ? kTables : tables_); ++t) {
      const __m256i within = _mm256_sub_epi8(labels, all_labels(16 * t));
      const __m256i at = _mm256_adds_epu8(within, all_labels(0x70));
      for (int c = 0; c < 3; ++c) {
        const __m256i table = _mm256_broadcastsi128_si256(_mm_load_si128(
            reinterpret_cast<const __m128i*>(planes_[c].value + 16 * t)));
        channel[c] = _mm256_or_si256(channel[c], _mm256_shuffle_epi8(table, at));
      }
    }
    return weave(channel[0], channel[1], channel[2]);
  }

 private:
  Plane planes_[3];
  int tables_;
};

template <class Body>
void with_colours(const std::uint8_t* palette, int colours, const Body& body) {
  if (colours <= 16) {
    body(Colours<1>(palette, colours));
  } else if (colours <= 32) {
    body(Colours<2>(palette, colours));
  } else if (colours <= 64) {
    body(Colours<4>(palette, colours));
  } else {
    body(Colours<0>(palette, colours));
  }
}

}  // namespace fuseg::FUSEG_LEVEL::blending
