// Labels, confidence and sources of a block of output pixels.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "fuse_argmax/fuse_candidates.h"
#include "fuse_argmax/map_blocks.h"
#include "fuse_argmax/read_labels.h"
#include "label/exponential.h"

namespace fuseg::FUSEG_LEVEL::fusing {

constexpr int kBlockRows = kManyRegisters ? 8 : 4;

// The part of a picture that a block covers. One that is narrower than a vector is
// written, and read, by way of a few pixels of our own.
struct Place {
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
inline Mask anywhere(const Sites& sites) {
  Mask any = sites.at[0].counts;
  for (int s = 1; s < sites.count; ++s) any = either(any, sites.at[s].counts);
  return any;
}

inline void look_at_row(Sites& sites, std::int64_t y) {
  for (int s = 0; s < sites.count; ++s) sites.at[s].look_at_row(y);
}

// Products that underflowed, or overflowed, say nothing.
inline bool sound(Floats product) {
  const Mask inside = both(greater(product, all(1e-30f)), greater(all(1e30f), product));
  return bits(inside) == (1u << kLanes) - 1;
}

// Labels of rows where every map of the block counts.
template <Way kWay, typename Label>
struct CompareFused {
  const Sites& sites;
  const Place& place;
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
    combine<kWay, false, kRows>(
        sites, list, listed, y, [&](int c, const Floats* scores) {
          const Ints label = all(c);
          for (int r = 0; r < kRows; ++r) {
            winner[r] = select(greater(scores[r], best[r]), label, winner[r]);
            best[r] = max(scores[r], best[r]);
          }
        });
    for (int r = 0; r < kRows; ++r) {
      if constexpr (kWay == Way::kProduct) {
        if (!sound(best[r])) {
          CompareFused<Way::kLogs, Label>{sites, place, list, listed, labels}
              .template rows<1>(y + r);
          continue;
        }
      }
      place.write(labels, y + r, [&](Label* out) { store_labels(out, winner[r]); });
    }
  }
};

// Labels of rows where a map may not count, or scores are not finite.
template <Way kWay, typename Label>
inline void compare_carefully(Sites& sites, const Place& place,
                              const std::int32_t* list, int listed, int ignore,
                              Label* labels) {
  for (std::int64_t y = place.first; y < place.end; ++y) {
    look_at_row(sites, y);
    Floats best = all(-kInfinity);
    Ints winner = all(0);
    combine<kWay, true, 1>(sites, list, listed, y, [&](int c, const Floats* scores) {
      winner = select(greater(*scores, best), all(c), winner);
      best = max(*scores, best);
    });
    place.write(labels, y, [&](Label* out) {
      store_labels(out, select(anywhere(sites), winner, all(ignore)));
    });
  }
}

// One label for all pixels where a map counts.
template <typename Label>
inline void fill(Sites& sites, const Place& place, int label, int ignore,
                 Label* labels) {
  for (std::int64_t y = place.first; y < place.end; ++y) {
    Ints lanes = all(label);
    if (!sites.all_there) {
      look_at_row(sites, y);
      lanes = select(anywhere(sites), lanes, all(ignore));
    }
    place.write(labels, y, [&](Label* out) { store_labels(out, lanes); });
  }
}

// The largest softmax probability of rows where every map of the block counts.
template <Way kWay>
struct ConfideFused {
  const Sites& sites;
  const Place& place;
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
    combine<kWay, false, kRows>(sites, nullptr, classes, y,
                                [&](int, const Floats* scores) {
                                  for (int r = 0; r < kRows; ++r) {
                                    best[r] = max(scores[r], best[r]);
                                    if constexpr (kWay == Way::kProduct)
                                      sum[r] = add(sum[r], scores[r]);
                                  }
                                });
    if constexpr (kWay != Way::kProduct) {
      combine<kWay, false, kRows>(
          sites, nullptr, classes, y, [&](int, const Floats* scores) {
            for (int r = 0; r < kRows; ++r) {
              sum[r] = add(sum[r], exponential(sub(scores[r], best[r])));
            }
          });
    }
    for (int r = 0; r < kRows; ++r) {
      Floats share = div(all(1.0f), sum[r]);
      if constexpr (kWay == Way::kProduct) {
        if (!sound(best[r])) {
          ConfideFused<Way::kLogs>{sites, place, classes, confidence}.template rows<1>(
              y + r);
          continue;
        }
        share = div(best[r], sum[r]);
      }
      place.write(confidence, y + r, [&](float* out) { store(out, share); });
    }
  }

  template <Way>
  friend struct ConfideFused;
};

template <Way kWay>
inline void confide_carefully(Sites& sites, const Place& place, int classes,
                              float* confidence) {
  for (std::int64_t y = place.first; y < place.end; ++y) {
    look_at_row(sites, y);
    Floats best = all(-kInfinity), sum = all(0.0f);
    combine<kWay, true, 1>(sites, nullptr, classes, y, [&](int, const Floats* scores) {
      best = max(*scores, best);
    });
    combine<kWay, true, 1>(sites, nullptr, classes, y, [&](int, const Floats* scores) {
      sum = add(sum, exponential(sub(*scores, best)));
    });
    place.write(confidence, y, [&](float* out) {
      store(out, select(anywhere(sites), div(all(1.0f), sum), all(0.0f)));
    });
  }
}

}  // namespace fuseg::FUSEG_LEVEL::fusing
