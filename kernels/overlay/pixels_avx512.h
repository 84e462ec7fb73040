// AVX-512 with VBMI: 64 pixels are three vectors, in the order of memory.
#pragma once

#include <immintrin.h>

#include <cstdint>
#include <cstring>

#include "overlay/pixels.h"

namespace fuseg::FUSEG_LEVEL::blending {

constexpr int kPixels = 64;
using Labels = __m512i;

struct Pixels {
  __m512i part[3];  // in the order of memory
};

// Byte i of 64 pixels is channel i % 3 of pixel i / 3.
struct Spread {
  alignas(64) std::uint8_t pixel[192];
  alignas(64) std::uint8_t channel[192];

  constexpr Spread() : pixel{}, channel{} {
    for (int i = 0; i < 192; ++i) {
      pixel[i] = static_cast<std::uint8_t>(i / 3);
      channel[i] = static_cast<std::uint8_t>(i % 3);
    }
  }
};
constexpr Spread kSpread;

inline Labels load_labels(const std::uint8_t* from) { return _mm512_loadu_si512(from); }
inline Labels all_labels(int label) {
  return _mm512_set1_epi8(static_cast<char>(label));
}
inline Labels larger(Labels a, Labels b) { return _mm512_max_epu8(a, b); }
inline Labels same(Labels a, Labels b) {
  return _mm512_movm_epi8(_mm512_cmpeq_epi8_mask(a, b));
}
inline bool any(Labels mask) { return _mm512_movepi8_mask(mask) != 0; }
inline Labels without(Labels labels, Labels mask) { return labels & ~mask; }
inline void store_labels(std::uint8_t* to, Labels v) { _mm512_storeu_si512(to, v); }

// GCC 12 warns of its own header where an intrinsic has no mask.
inline __m512i permute(__m512i bytes, __m512i index) {
  return _mm512_maskz_permutexvar_epi8(~0ull, index, bytes);
}

inline Pixels load_pixels(const std::uint8_t* from) {
  return {{_mm512_loadu_si512(from), _mm512_loadu_si512(from + 64),
           _mm512_loadu_si512(from + 128)}};
}
inline void store_pixels(std::uint8_t* to, const Pixels& pixels) {
  for (int j = 0; j < 3; ++j) _mm512_storeu_si512(to + 64 * j, pixels.part[j]);
}
inline Pixels black() { return {}; }

inline Pixels thrice(Labels mask) {
  Pixels all;
  for (int j = 0; j < 3; ++j) {
    all.part[j] = permute(mask, _mm512_load_si512(kSpread.pixel + 64 * j));
  }
  return all;
}
inline Pixels select(const Pixels& mask, const Pixels& yes, const Pixels& no) {
  Pixels chosen;
  for (int j = 0; j < 3; ++j) {
    chosen.part[j] = _mm512_ternarylogic_epi64(mask.part[j], yes.part[j], no.part[j],
                                               0xca);  // mask ? yes : no
  }
  return chosen;
}
inline Pixels average(const Pixels& a, const Pixels& b) {
  Pixels mean;
  for (int j = 0; j < 3; ++j) mean.part[j] = _mm512_avg_epu8(a.part[j], b.part[j]);
  return mean;
}

// Weights are the unsigned bytes of the multiplication and pixels the signed ones, 128
// too low: so the sum, 32,768 too low, fits a signed word.
class Blend {
 public:
  explicit Blend(int alpha)
      : weights_(_mm512_set1_epi16(static_cast<short>(alpha << 8 | (256 - alpha)))) {}

  [[gnu::always_inline]] Pixels operator()(const Pixels& frame,
                                           const Pixels& colour) const {
    const __m512i low = _mm512_set1_epi8(-128);
    const __m512i round = _mm512_set1_epi16(static_cast<short>(0x8080));
    Pixels mixed;
    for (int j = 0; j < 3; ++j) {
      const __m512i f = _mm512_xor_si512(frame.part[j], low);
      const __m512i c = _mm512_xor_si512(colour.part[j], low);
      const __m512i first = _mm512_maddubs_epi16(weights_, _mm512_unpacklo_epi8(f, c));
      const __m512i second = _mm512_maddubs_epi16(weights_, _mm512_unpackhi_epi8(f, c));
      mixed.part[j] =
          _mm512_packus_epi16(_mm512_srli_epi16(_mm512_add_epi16(first, round), 8),
                              _mm512_srli_epi16(_mm512_add_epi16(second, round), 8));
    }
    return mixed;
  }

 private:
  __m512i weights_;
};

// Up to 21 or 42 colours: the palette as it is, and byte 3 * label + channel of it.
template <int kTables>
class FewColours {
  static_assert(kTables <= 2);

 public:
  FewColours(const std::uint8_t* palette, int colours) {
    alignas(64) std::uint8_t bytes[128] = {};
    std::memcpy(bytes, palette, 3 * static_cast<std::size_t>(colours));
    table_[0] = _mm512_load_si512(bytes);
    table_[1] = _mm512_load_si512(bytes + 64);
  }

  [[gnu::always_inline]] Pixels of(Labels labels) const {
    const __m512i three = _mm512_add_epi8(labels, _mm512_add_epi8(labels, labels));
    Pixels pixels = thrice(three);
    for (int j = 0; j < 3; ++j) {
      const __m512i channel = _mm512_load_si512(kSpread.channel + 64 * j);
      const __m512i at = _mm512_add_epi8(pixels.part[j], channel);
      pixels.part[j] = kTables == 1
                           ? permute(table_[0], at)
                           : _mm512_permutex2var_epi8(table_[0], at, table_[1]);
    }
    return pixels;
  }

 private:
  __m512i table_[2];
};

// Up to 256: a plane per channel, then the three planes woven.
class ManyColours {
 public:
  ManyColours(const std::uint8_t* palette, int colours)
      : planes_{{palette, colours, 0}, {palette, colours, 1}, {palette, colours, 2}} {}

  [[gnu::always_inline]] Pixels of(Labels labels) const {
    const __m512i r = look_up(planes_[0], labels);
    const __m512i g = look_up(planes_[1], labels);
    const __m512i b = look_up(planes_[2], labels);
    Pixels pixels;
    for (int j = 0; j < 3; ++j) {
      const __m512i pixel = _mm512_load_si512(kSpread.pixel + 64 * j);
      const __m512i channel = _mm512_load_si512(kSpread.channel + 64 * j);
      // Bit 6 of the index says: the second of the two.
      const __m512i from_two = _mm512_or_si512(pixel, _mm512_slli_epi16(channel, 6));
      const __m512i red_or_green = _mm512_permutex2var_epi8(r, from_two, g);
      const __mmask64 blue = _mm512_test_epi8_mask(channel, _mm512_set1_epi8(2));
      pixels.part[j] = _mm512_mask_permutexvar_epi8(red_or_green, blue, pixel, b);
    }
    return pixels;
  }

 private:
  static __m512i look_up(const Plane& plane, Labels labels) {
    const auto quarter = [&](int i) { return _mm512_load_si512(plane.value + 64 * i); };
    return _mm512_mask_blend_epi8(
        _mm512_movepi8_mask(labels),
        _mm512_permutex2var_epi8(quarter(0), labels, quarter(1)),
        _mm512_permutex2var_epi8(quarter(2), labels, quarter(3)));
  }

  Plane planes_[3];
};

template <class Body>
void with_colours(const std::uint8_t* palette, int colours, const Body& body) {
  if (colours <= 21) {
    body(FewColours<1>(palette, colours));
  } else if (colours <= 42) {
    body(FewColours<2>(palette, colours));
  } else {
    body(ManyColours(palette, colours));
  }
}

}  // namespace fuseg::FUSEG_LEVEL::blending
