#include "overlay/overlay.h"

#include <algorithm>
#include <cstring>

#include "common/widest.h"

namespace fuseg {
namespace {

constexpr std::int64_t kBlock = 512;  // pixels

using Table = std::uint32_t[256];  // by label: three bytes, the fourth 0

inline int largest_label(const std::uint8_t* labels, std::int64_t pixels, int ignore) {
  std::uint8_t largest = 0;
  bool any = ignore < 0;
  if (ignore < 0) {
    for (std::int64_t i = 0; i < pixels; ++i) largest = std::max(largest, labels[i]);
  } else {
    const auto skip = static_cast<std::uint8_t>(ignore);
    std::uint8_t differs = 0;
    for (std::int64_t i = 0; i < pixels; ++i) {
      const std::uint8_t label = labels[i] == skip ? std::uint8_t{0} : labels[i];
      largest = std::max(largest, label);
      differs |= labels[i] ^ skip;
    }
    any = differs != 0;
  }
  return any ? largest : -1;
}

// Three bytes a pixel, written four at a time: the next pixel overwrites the fourth,
// and `bytes` has room for the last one's.
inline void spread(const std::uint8_t* labels, std::int64_t count, const Table& table,
                   std::uint8_t* bytes) {
  for (std::int64_t x = 0; x < count; ++x) {
    std::memcpy(bytes + 3 * x, &table[labels[x]], 4);
  }
}

struct Brush {
  Table colour;
  Table keep;  // 0xffffff for `ignore`, else 0
  unsigned alpha;
  bool ignores;
};

inline void paint(const std::uint8_t* labels, const std::uint8_t* __restrict__ frame,
                  std::int64_t count, const Brush& brush, std::uint8_t* __restrict__ out) {
  std::uint8_t colour[3 * kBlock + 1];
  std::uint8_t keep[3 * kBlock + 1];
  spread(labels, count, brush.colour, colour);
  if (frame == nullptr) {
    std::memcpy(out, colour, 3 * count);
    return;
  }
  const auto alpha = static_cast<std::uint16_t>(brush.alpha);
  const auto rest = static_cast<std::uint16_t>(256 - brush.alpha);
  for (std::int64_t i = 0; i < 3 * count; ++i) {
    const auto sum = static_cast<std::uint16_t>(frame[i] * rest + colour[i] * alpha + 128);
    out[i] = static_cast<std::uint8_t>(sum >> 8);
  }
  if (!brush.ignores) return;
  spread(labels, count, brush.keep, keep);
  for (std::int64_t i = 0; i < 3 * count; ++i) {
    out[i] = keep[i] ? frame[i] : out[i];
  }
}

}  // namespace

int overlay_cpu(const std::uint8_t* labels, std::int64_t height, std::int64_t width,
                const std::uint8_t* palette, int colours, const std::uint8_t* frame,
                std::ptrdiff_t row_bytes, int alpha, int ignore, std::uint8_t* out) {
  int largest = -1;
  run_widest([&] { largest = largest_label(labels, height * width, ignore); });
  if (largest >= colours) return largest;

  Brush brush{};
  for (int k = 0; k < colours; ++k) std::memcpy(&brush.colour[k], palette + 3 * k, 3);
  brush.alpha = static_cast<unsigned>(alpha);
  brush.ignores = ignore >= 0;
  if (brush.ignores) {
    brush.colour[ignore] = 0;
    brush.keep[ignore] = 0xffffff;
  }
  run_widest([&] {
    for (std::int64_t y = 0; y < height; ++y) {
      for (std::int64_t x = 0; x < width; x += kBlock) {
        const std::uint8_t* under = frame ? frame + y * row_bytes + 3 * x : nullptr;
        const std::int64_t at = y * width + x;
        paint(labels + at, under, std::min(kBlock, width - x), brush, out + 3 * at);
      }
    }
  });
  return largest;
}

}  // namespace fuseg
