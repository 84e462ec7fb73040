#include <algorithm>
#include <cstring>

#include "common/widest.h"
#include "overlay/overlay.h"

namespace fuseg {
namespace {

constexpr std::int64_t kBlock = 512;  // pixels

// Three bytes for every label: once, with a fourth that is chance, and eight times
// over.
struct Table {
  std::uint32_t once[256];
  std::uint8_t eight_times[256][24];

  void set(int label, const std::uint8_t* bytes) {
    std::memcpy(&once[label], bytes, 3);
    for (int i = 0; i < 24; ++i) eight_times[label][i] = bytes[i % 3];
  }
};

// The largest label but `ignore`, -1 if there is none.
inline int largest_label(const std::uint8_t* __restrict__ labels, std::int64_t pixels,
                         int ignore) {
  const auto skip = static_cast<std::uint8_t>(ignore);
  const std::uint8_t all = ignore < 0 ? 255 : 0;
  std::uint8_t largest = 0;
  std::uint8_t others = 0;
  for (std::int64_t i = 0; i < pixels; ++i) {
    const std::uint8_t label = labels[i];
    const auto counts = static_cast<std::uint8_t>(-(label != skip) | all);  // 0 or 255
    const auto counted = static_cast<std::uint8_t>(label & counts);
    largest = counted > largest ? counted : largest;
    others |= counts;
  }
  return others != 0 ? largest : -1;
}

// Three bytes a pixel. A single pixel writes four: the next one overwrites the fourth,
// and `bytes` has room for the last one's. Labels come in patches, so eight alike are
// worth a look.
inline void spread(const std::uint8_t* __restrict__ labels, std::int64_t count,
                   const Table& table, std::uint8_t* __restrict__ bytes) {
  std::int64_t x = 0;
  for (; x + 8 <= count; x += 8) {
    std::uint64_t eight;
    std::memcpy(&eight, labels + x, 8);
    if (eight == labels[x] * 0x0101010101010101u) {
      std::memcpy(bytes + 3 * x, table.eight_times[labels[x]], 24);
    } else {
      for (int i = 0; i < 8; ++i) {
        std::memcpy(bytes + 3 * (x + i), &table.once[labels[x + i]], 4);
      }
    }
  }
  for (; x < count; ++x) std::memcpy(bytes + 3 * x, &table.once[labels[x]], 4);
}

struct Brush {
  Table colour;
  Table keep;  // all ones for `ignore`, else 0
  int alpha;
  int ignore;
};

inline std::uint8_t mix(std::uint8_t frame, std::uint8_t colour, std::uint16_t alpha) {
  const int sum = frame * (256 - alpha) + colour * alpha + 128;
  return static_cast<std::uint8_t>(static_cast<std::uint16_t>(sum) >> 8);
}

inline bool contains(const std::uint8_t* __restrict__ labels, std::int64_t count,
                     std::uint8_t label) {
  std::uint8_t found = 0;
  for (std::int64_t x = 0; x < count; ++x) found |= labels[x] == label;
  return found != 0;
}

inline void paint(const std::uint8_t* labels, const std::uint8_t* __restrict__ frame,
                  std::int64_t count, const Brush& brush,
                  std::uint8_t* __restrict__ out) {
  if (frame == nullptr) {
    spread(labels, count - 1, brush.colour, out);
    std::memcpy(out + 3 * (count - 1), &brush.colour.once[labels[count - 1]], 3);
    return;
  }
  std::uint8_t colour[3 * kBlock + 1];
  spread(labels, count, brush.colour, colour);
  const auto alpha = static_cast<std::uint16_t>(brush.alpha);
  if (brush.ignore < 0 ||
      !contains(labels, count, static_cast<std::uint8_t>(brush.ignore))) {
    for (std::int64_t i = 0; i < 3 * count; ++i) {
      out[i] = mix(frame[i], colour[i], alpha);
    }
  } else {
    std::uint8_t keep[3 * kBlock + 1];
    spread(labels, count, brush.keep, keep);
    for (std::int64_t i = 0; i < 3 * count; ++i) {
      const std::uint8_t mixed = mix(frame[i], colour[i], alpha);
      out[i] = static_cast<std::uint8_t>((frame[i] & keep[i]) | (mixed & ~keep[i]));
    }
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
  brush.alpha = alpha;
  brush.ignore = ignore;
  for (int k = 0; k < colours; ++k) brush.colour.set(k, palette + 3 * k);
  if (ignore >= 0) {
    constexpr std::uint8_t none[3] = {0, 0, 0};
    constexpr std::uint8_t all[3] = {255, 255, 255};
    brush.colour.set(ignore, none);
    brush.keep.set(ignore, all);
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
