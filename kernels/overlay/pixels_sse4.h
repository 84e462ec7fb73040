// SSE4.1: 16 pixels are three vectors, in the order of memory.
#pragma once

#include <immintrin.h>

#include <cstdint>

#include "overlay/pixels.h"

namespace fuseg::FUSEG_LEVEL::blending {

constexpr int kPixels = 16;
using Labels = __m128i;

struct Pixels {
  __m128i part[3];
};

inline Labels load_labels(const std::uint8_t* from) {
  return _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
}
inline Labels all_labels(int label) { return _mm_set1_epi8(static_cast<char>(label)); }
inline Labels larger(Labels a, Labels b) { return _mm_max_epu8(a, b); }
inline Labels same(Labels a, Labels b) { return _mm_cmpeq_epi8(a, b); }
inline bool any(Labels mask) { return _mm_movemask_epi8(mask) != 0; }
inline Labels without(Labels labels, Labels mask) {
  return _mm_andnot_si128(mask, labels);
}
inline void store_labels(std::uint8_t* to, Labels v) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(to), v);
}

inline Pixels load_pixels(const std::uint8_t* from) {
  return {{load_labels(from), load_labels(from + 16), load_labels(from + 32)}};
}
inline void store_pixels(std::uint8_t* to, const Pixels& pixels) {
  for (int j = 0; j < 3; ++j) store_labels(to + 16 * j, pixels.part[j]);
}
inline Pixels black() { return {}; }

// Three planes woven into pixels. Byte i of part j is channel (i + j) % 3 of pixel
// (16 * j + i) / 3, so a plane's 16 bytes go to 16 different places, each in one part.
[[gnu::always_inline]] inline Pixels weave(__m128i r, __m128i g, __m128i b) {
  r = _mm_shuffle_epi8(
      r, _mm_setr_epi8(0, 11, 6, 1, 12, 7, 2, 13, 8, 3, 14, 9, 4, 15, 10, 5));
  g = _mm_shuffle_epi8(
      g, _mm_setr_epi8(5, 0, 11, 6, 1, 12, 7, 2, 13, 8, 3, 14, 9, 4, 15, 10));
  b = _mm_shuffle_epi8(
      b, _mm_setr_epi8(10, 5, 0, 11, 6, 1, 12, 7, 2, 13, 8, 3, 14, 9, 4, 15));
  const __m128i third[3] = {
      _mm_setr_epi8(-1, 0, 0, -1, 0, 0, -1, 0, 0, -1, 0, 0, -1, 0, 0, -1),
      _mm_setr_epi8(0, -1, 0, 0, -1, 0, 0, -1, 0, 0, -1, 0, 0, -1, 0, 0),
      _mm_setr_epi8(0, 0, -1, 0, 0, -1, 0, 0, -1, 0, 0, -1, 0, 0, -1, 0)};
  Pixels pixels;
  for (int j = 0; j < 3; ++j) {
    const __m128i red_or_green = _mm_blendv_epi8(g, r, third[(3 - j) % 3]);
    pixels.part[j] = _mm_blendv_epi8(red_or_green, b, third[(5 - j) % 3]);
  }
  return pixels;
}
inline Pixels thrice(Labels mask) { return weave(mask, mask, mask); }

inline Pixels select(const Pixels& mask, const Pixels& yes, const Pixels& no) {
  Pixels chosen;
  for (int j = 0; j < 3; ++j) {
    chosen.part[j] = _mm_blendv_epi8(no.part[j], yes.part[j], mask.part[j]);
  }
  return chosen;
}
inline Pixels average(const Pixels& a, const Pixels& b) {
  Pixels mean;
  for (int j = 0; j < 3; ++j) mean.part[j] = _mm_avg_epu8(a.part[j], b.part[j]);
  return mean;
}

// Weights are the unsigned bytes of the multiplication and pixels the signed ones, 128
// too low: so the sum, 32,768 too low, fits a signed word.
class Blend {
 public:
  explicit Blend(int alpha)
      : weights_(_mm_set1_epi16(static_cast<short>(alpha << 8 | (256 - alpha)))) {}

  [[gnu::always_inline]] Pixels operator()(const Pixels& frame,
                                           const Pixels& colour) const {
    const __m128i low = _mm_set1_epi8(-128);
    const __m128i round = _mm_set1_epi16(static_cast<short>(0x8080));
    Pixels mixed;
    for (int j = 0; j < 3; ++j) {
      const __m128i f = _mm_xor_si128(frame.part[j], low);
      const __m128i c = _mm_xor_si128(colour.part[j], low);
      const __m128i first = _mm_maddubs_epi16(weights_, _mm_unpacklo_epi8(f, c));
      const __m128i second = _mm_maddubs_epi16(weights_, _mm_unpackhi_epi8(f, c));
      mixed.part[j] = _mm_packus_epi16(_mm_srli_epi16(_mm_add_epi16(first, round), 8),
                                       _mm_srli_epi16(_mm_add_epi16(second, round), 8));
    }
    return mixed;
  }

 private:
  __m128i weights_;
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
    __m128i channel[3] = {};
    for (int t = 0; t < (kTables ? kTables : tables_); ++t) {
      const __m128i within = _mm_sub_epi8(labels, all_labels(16 * t));
      const __m128i at = _mm_adds_epu8(within, all_labels(0x70));
      for (int c = 0; c < 3; ++c) {
        const __m128i table = load_labels(planes_[c].value + 16 * t);
        channel[c] = _mm_or_si128(channel[c], _mm_shuffle_epi8(table, at));
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
