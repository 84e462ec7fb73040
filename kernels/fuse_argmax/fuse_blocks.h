// Labels, confidence and sources of a block of output pixels.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "fuse_argmax/fuse_candidates.h"
#include "fuse_argmax/map_blocks.h"
#include "label/exponential.h"

namespace fuseg::FUSEG_LEVEL::fusing {

constexpr int kBlockRows = kManyRegisters ? 8 : 4;

// The part of a picture that a block covers. One that is narrower than a vector is
// written, and read, through a buffer of one vector.
struct BlockPixels {
  std::int64_t width;  // of the picture
  std::int64_t x;
  std::int64_t first;  // rows
  std::int64_t end;

  template <typename Pixel, typename Write>
  void write(Pixel* pixels, std::int64_t y, const Write& write_lanes) const {
    Pixel* out = pixels + y * width + x;
    if (width >= kLanes) return write_lanes(out);
    Pixel lanes[kLanes];
    write_lanes(lanes);
    std::memcpy(out, lanes, width * sizeof(Pixel));
  }
  template <typename Label>
  Ints read(const Label* labels, std::int64_t y) const {
    const Label* in = labels + y * width + x;
    if (width >= kLanes) return load_labels(in);
    Label lanes[kLanes];
    for (std::int64_t i = 0; i < kLanes; ++i) lanes[i] = in[i < width ? i : width - 1];
    return load_labels(lanes);
  }
  // Calls body.template rows<n>(y) until all rows had their turn.
  template <typename Body>
  void in_tiles(const Body& body) const {
    std::int64_t y = first;
    for (; y + kBlockRows <= end; y += kBlockRows) body.template rows<kBlockRows>(y);
    for (; y + 4 <= end; y += 4) body.template rows<4>(y);
    for (; y + 2 <= end; y += 2) body.template rows<2>(y);
    for (; y < end; ++y) body.template rows<1>(y);
  }
};

// Where any map counts.
inline Mask any_map(const MapBlocks& blocks) {
  Mask any = blocks.at[0].counts;
  for (int s = 1; s < blocks.count; ++s) any = either(any, blocks.at[s].counts);
  return any;
}

inline void load_row(MapBlocks& blocks, std::int64_t y) {
  for (int s = 0; s < blocks.count; ++s) blocks.at[s].load_row(y);
}

// Products that underflowed, or overflowed, are of no use.
inline bool in_range(Floats product) {
  const Mask inside = both(greater(product, all(1e-30f)), greater(all(1e30f), product));
  return bits(inside) == (1u << kLanes) - 1;
}

// Labels of rows where every map of the block counts.
template <Arithmetic kArithmetic, typename Label>
struct CompareFused {
  const MapBlocks& blocks;
  const BlockPixels& pixels;
  const std::int32_t* list;
  int listed;
  Label* labels;

  template <int kRows>
  void rows(std::int64_t y) const {
    Floats best[kRows];
    Ints winner[kRows];
    for (int r = 0; r < kRows; ++r) {
      best[r] = all(-kInfinity);
      winner[r] = all(0);
    }
    combine<kArithmetic, false, kRows>(
        blocks, list, listed, y, [&](int c, const Floats* scores) {
          const Ints label = all(c);
          for (int r = 0; r < kRows; ++r) {
            winner[r] = select(greater(scores[r], best[r]), label, winner[r]);
            best[r] = max(scores[r], best[r]);
          }
        });
    for (int r = 0; r < kRows; ++r) {
      if constexpr (kArithmetic == Arithmetic::kProduct) {
        if (!in_range(best[r])) {
          CompareFused<Arithmetic::kLogSum, Label>{blocks, pixels, list, listed, labels}
              .template rows<1>(y + r);
          continue;
        }
      }
      pixels.write(labels, y + r, [&](Label* out) { store_labels(out, winner[r]); });
    }
  }
};

// Labels of rows where a map may not count, or scores are not finite.
template <Arithmetic kArithmetic, typename Label>
inline void compare_checked(MapBlocks& blocks, const BlockPixels& pixels,
                            const std::int32_t* list, int listed, int ignore,
                            Label* labels) {
  for (std::int64_t y = pixels.first; y < pixels.end; ++y) {
    load_row(blocks, y);
    Floats best = all(-kInfinity);
    Ints winner = all(0);
    combine<kArithmetic, true, 1>(
        blocks, list, listed, y, [&](int c, const Floats* scores) {
          winner = select(greater(*scores, best), all(c), winner);
          best = max(*scores, best);
        });
    pixels.write(labels, y, [&](Label* out) {
      store_labels(out, select(any_map(blocks), winner, all(ignore)));
    });
  }
}

// One label for all pixels where a map counts.
template <typename Label>
inline void fill(MapBlocks& blocks, const BlockPixels& pixels, int label, int ignore,
                 Label* labels) {
  for (std::int64_t y = pixels.first; y < pixels.end; ++y) {
    Ints lanes = all(label);
    if (!blocks.complete) {
      load_row(blocks, y);
      lanes = select(any_map(blocks), lanes, all(ignore));
    }
    pixels.write(labels, y, [&](Label* out) { store_labels(out, lanes); });
  }
}

// The largest softmax probability of rows where every map of the block counts.
template <Arithmetic kArithmetic>
struct FusedConfidence {
  const MapBlocks& blocks;
  const BlockPixels& pixels;
  int classes;
  float* confidence;

  template <int kRows>
  void rows(std::int64_t y) const {
    constexpr int kSome = kRows < 4 ? kRows : 4;
    for (int r = 0; r < kRows; r += kSome) some<kSome>(y + r);
  }

 private:
  template <int kRows>
  void some(std::int64_t y) const {
    Floats best[kRows], sum[kRows];
    for (int r = 0; r < kRows; ++r) {
      best[r] = all(-kInfinity);
      sum[r] = all(0.0f);
    }
    combine<kArithmetic, false, kRows>(
        blocks, nullptr, classes, y, [&](int, const Floats* scores) {
          for (int r = 0; r < kRows; ++r) {
            best[r] = max(scores[r], best[r]);
            if constexpr (kArithmetic == Arithmetic::kProduct)
              sum[r] = add(sum[r], scores[r]);
          }
        });
    if constexpr (kArithmetic != Arithmetic::kProduct) {
      combine<kArithmetic, false, kRows>(
          blocks, nullptr, classes, y, [&](int, const Floats* scores) {
            for (int r = 0; r < kRows; ++r) {
              sum[r] = add(sum[r], exponential(sub(scores[r], best[r])));
            }
          });
    }
    for (int r = 0; r < kRows; ++r) {
      Floats share = div(all(1.0f), sum[r]);
      if constexpr (kArithmetic == Arithmetic::kProduct) {
        if (!in_range(best[r])) {
          FusedConfidence<Arithmetic::kLogSum>{blocks, pixels, classes, confidence}
              .template rows<1>(y + r);
          continue;
        }
        share = div(best[r], sum[r]);
      }
      pixels.write(confidence, y + r, [&](float* out) { store(out, share); });
    }
  }

  template <Arithmetic>
  friend struct FusedConfidence;
};

template <Arithmetic kArithmetic>
inline void softmax_max_checked(MapBlocks& blocks, const BlockPixels& pixels,
                                int classes, float* confidence) {
  for (std::int64_t y = pixels.first; y < pixels.end; ++y) {
    load_row(blocks, y);
    Floats best = all(-kInfinity), sum = all(0.0f);
    combine<kArithmetic, true, 1>(
        blocks, nullptr, classes, y,
        [&](int, const Floats* scores) { best = max(*scores, best); });
    combine<kArithmetic, true, 1>(blocks, nullptr, classes, y,
                                  [&](int, const Floats* scores) {
                                    sum = add(sum, exponential(sub(*scores, best)));
                                  });
    pixels.write(confidence, y, [&](float* out) {
      store(out, select(any_map(blocks), div(all(1.0f), sum), all(0.0f)));
    });
  }
}

}  // namespace fuseg::FUSEG_LEVEL::fusing
