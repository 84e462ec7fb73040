// NEON: 16 pixels are three planes, taken apart and woven by the loads and stores.
#pragma once

#include <arm_neon.h>

#include <cstdint>

#include "overlay/pixels.h"

namespace fuseg::FUSEG_LEVEL::blending {

constexpr int kPixels = 16;
using Labels = uint8x16_t;

struct Pixels {
  uint8x16x3_t planes;
};

inline Labels load_labels(const std::uint8_t* from) { return vld1q_u8(from); }
inline Labels all_labels(int label) {
  return vdupq_n_u8(static_cast<std::uint8_t>(label));
}
inline Labels larger(Labels a, Labels b) { return vmaxq_u8(a, b); }
inline Labels same(Labels a, Labels b) { return vceqq_u8(a, b); }
inline bool any(Labels mask) { return vmaxvq_u8(mask) != 0; }
inline Labels without(Labels labels, Labels mask) { return vbicq_u8(labels, mask); }
inline void store_labels(std::uint8_t* to, Labels v) { vst1q_u8(to, v); }

inline Pixels load_pixels(const std::uint8_t* from) { return {vld3q_u8(from)}; }
inline void store_pixels(std::uint8_t* to, const Pixels& pixels) {
  vst3q_u8(to, pixels.planes);
}
inline Pixels thrice(Labels mask) { return {{{mask, mask, mask}}}; }
inline Pixels black() { return thrice(vdupq_n_u8(0)); }

inline Pixels select(const Pixels& mask, const Pixels& yes, const Pixels& no) {
  Pixels chosen;
  for (int c = 0; c < 3; ++c) {
    chosen.planes.val[c] =
        vbslq_u8(mask.planes.val[c], yes.planes.val[c], no.planes.val[c]);
  }
  return chosen;
}
inline Pixels average(const Pixels& a, const Pixels& b) {
  Pixels mean;
  for (int c = 0; c < 3; ++c) {
    mean.planes.val[c] = vrhaddq_u8(a.planes.val[c], b.planes.val[c]);
  }
  return mean;
}

class Blend {
 public:
  explicit Blend(int alpha)
      : frame_(vdup_n_u8(static_cast<std::uint8_t>(256 - alpha))),
        colour_(vdup_n_u8(static_cast<std::uint8_t>(alpha))) {}

  [[gnu::always_inline]] Pixels operator()(const Pixels& frame,
                                           const Pixels& colour) const {
    Pixels mixed;
    for (int c = 0; c < 3; ++c) {
      const uint8x16_t f = frame.planes.val[c], k = colour.planes.val[c];
      const uint16x8_t low =
          vmlal_u8(vmull_u8(vget_low_u8(f), frame_), vget_low_u8(k), colour_);
      const uint16x8_t high =
          vmlal_u8(vmull_u8(vget_high_u8(f), frame_), vget_high_u8(k), colour_);
      mixed.planes.val[c] = vcombine_u8(vrshrn_n_u16(low, 8), vrshrn_n_u16(high, 8));
    }
    return mixed;
  }

 private:
  uint8x8_t frame_, colour_;
};

// Tables of 64 colours; as many as the palette needs if kTables is 0.
template <int kTables>
class Colours {
 public:
  Colours(const std::uint8_t* palette, int colours)
      : planes_{{palette, colours, 0}, {palette, colours, 1}, {palette, colours, 2}},
        tables_((colours + 63) / 64) {}

  // A table gives 0 for an index of 64 or more.
  [[gnu::always_inline]] Pixels of(Labels labels) const {
    Pixels pixels = black();
    for (int t = 0; t < (kTables ? kTables : tables_); ++t) {
      const Labels at = vsubq_u8(labels, all_labels(64 * t));
      for (int c = 0; c < 3; ++c) {
        const uint8x16x4_t table = vld1q_u8_x4(planes_[c].value + 64 * t);
        pixels.planes.val[c] = vorrq_u8(pixels.planes.val[c], vqtbl4q_u8(table, at));
      }
    }
    return pixels;
  }

 private:
  Plane planes_[3];
  int tables_;
};

template <class Body>
void with_colours(const std::uint8_t* palette, int colours, const Body& body) {
  if (colours <= 64) {
    body(Colours<1>(palette, colours));
  } else {
    body(Colours<0>(palette, colours));
  }
}

}  // namespace fuseg::FUSEG_LEVEL::blending
