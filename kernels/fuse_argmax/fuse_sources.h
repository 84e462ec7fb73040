// Which map the labels of a block of output pixels are owed to.
#pragma once

#include <cstdint>

#include "fuse_argmax/fuse_blocks.h"
#include "fuse_argmax/logarithm.h"

namespace fuseg::FUSEG_LEVEL::fusing {

// What the maps say of one class in a block.
template <Fusing kHow>
struct Claims {
  const Sites& sites;
  int label = -1;
  Ends ends[kMostMaps];
  bool as_they_are = false;  // one weight for all: logarithms would not change an order

  explicit Claims(const Sites& heard) : sites(heard) {}

  void hear(int c) {
    if (label == c) return;
    label = c;
    as_they_are = kHow == Fusing::kMultiply;
    for (int s = 0; s < sites.count; ++s) {
      ends[s] = ends_of<true>(sites.at[s], c);
      as_they_are &= sites.at[s].band->weights[c] == sites.at[0].band->weights[c];
    }
  }

  bool linear() const { return kHow != Fusing::kMultiply || as_they_are; }

  // The map, where the class has this label; where it could not win, none.
  Ints loudest(std::int64_t y) const {
    Floats best = all(-kInfinity), sum = all(0.0f);
    Ints source = all(kNoMap);
    for (int s = 0; s < sites.count; ++s) {
      const Site& site = sites.at[s];
      const float weight = site.band->weights[label];
      if (weight == 0.0f) continue;
      Floats own = down<Way::kLogs, true>(site, ends[s], ends[s].above, y);
      if constexpr (kHow == Fusing::kMultiply) {
        const Mask said = greater(own, all(0.0f));  // or the sum is -infinity, or NaN
        sum = select(site.counts, select(said, sum, all(-kInfinity)), sum);
        if (!as_they_are) own = mul(all(weight), logarithm(own));
      } else {
        sum = select(site.counts, add(sum, own), sum);
      }
      const Mask louder = both(site.counts, greater(own, best));
      const auto map = static_cast<std::int32_t>(site.band->map - site.band->job->maps);
      source = select(louder, all(map), source);
      best = select(louder, own, best);
    }
    if constexpr (kHow == Fusing::kMax) return source;
    return select(greater(sum, all(-kInfinity)), source, all(kNoMap));
  }
};

// The label of all pixels of a block, if it is one.
template <typename Label>
inline std::int32_t only_label(const Place& place, const Label* labels) {
  const std::int32_t label = labels[place.first * place.width + place.x];
  for (std::int64_t y = place.first; y < place.end; ++y) {
    const Mask same = equal(place.read(labels, y), all(label));
    if (bits(same) != (1u << kLanes) - 1) return kNobody;
  }
  return label;
}

template <Fusing kHow, typename Label>
inline void owe_row(Sites& sites, const Place& place, std::int64_t y,
                    const Label* labels, Claims<kHow>& claims, std::uint8_t* source) {
  look_at_row(sites, y);
  const Ints given = place.read(labels, y);
  std::int32_t lanes[kLanes];
  store(lanes, given);
  Ints owed = all(kNoMap);
  unsigned left = bits(anywhere(sites));
  while (left != 0) {
    const std::int32_t label = lanes[__builtin_ctz(left)];
    claims.hear(label);
    const Mask here = equal(given, all(label));
    left &= ~bits(here);
    owed = select(here, claims.loudest(y), owed);
  }
  owed = select(anywhere(sites), owed, all(kNoMap));
  place.write(source, y, [&](std::uint8_t* out) { store_bytes(out, owed); });
}

// Whether what each map says changes evenly from row to row. Above the centres of its
// first samples nothing changes, below them something does.
inline bool even(const Sites& sites, const Place& place) {
  bool is = true;
  sites.each([&](const Site& site) {
    is &= site.band->map->rows.first[place.first] > 0 ||
          site.fraction_at(place.first) > 0.0f ||
          site.fraction_at(place.end - 1) == 0.0f;
  });
  return is;
}

template <Fusing kHow, typename Label>
inline void owe(Sites& sites, const Place& place, const Label* labels, bool tame,
                std::uint8_t* source) {
  Claims<kHow> claims(sites);
  const std::int32_t label = tame && sites.all_there && even(sites, place)
                                 ? only_label(place, labels)
                                 : kNobody;
  if (label != kNobody) {
    claims.hear(label);
    if (claims.linear()) {
      // Who is loudest in the first row and in the last one is so in between.
      look_at_row(sites, place.first);
      const Ints owed = claims.loudest(place.first);
      const Mask same = equal(owed, claims.loudest(place.end - 1));
      if (bits(same) == (1u << kLanes) - 1) {
        for (std::int64_t y = place.first; y < place.end; ++y) {
          place.write(source, y, [&](std::uint8_t* out) { store_bytes(out, owed); });
        }
        return;
      }
    }
  }
  for (std::int64_t y = place.first; y < place.end; ++y) {
    owe_row(sites, place, y, labels, claims, source);
  }
}

}  // namespace fuseg::FUSEG_LEVEL::fusing
