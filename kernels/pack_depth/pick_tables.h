// What a fast kernel needs to know about a job beforehand, for pack_depth_simd.cpp
// only.
#pragma once

#include <cstring>

#include "common/scalar.h"
#include "pack_depth/pack_depth.h"
#include "pack_depth/tap_pairs.h"
#include "pack_depth/windows.h"

namespace fuseg::FUSEG_LEVEL {
namespace {

constexpr std::int64_t kStrip = 16;
constexpr int kLoose = -1;

// How a block of a row lies in vectors. Small items fill words: those of the two taps
// of kLanes pixels or, where one tap is all, those of 2 * kLanes pixels. What is known
// of a block is a record: its weights, where its windows begin, which items to pick.
struct Layout {
  int item;
  bool blends;

  constexpr bool wide() const { return item < 4 && !blends; }
  constexpr int lanes() const { return wide() ? 2 * kLanes : kLanes; }
  constexpr int picks() const { return item == 4 && blends ? 2 : 1; }
  constexpr Fill fill() const { return item < 4 ? Fill::kWords : Fill::kLanes; }

  constexpr int far_weight_at() const { return kVectorBytes; }
  constexpr int base_at() const { return blends ? 2 * kVectorBytes : 0; }
  constexpr int index_at(int pick) const {
    return base_at() + kVectorBytes + pick * kIndexParts * kVectorBytes;
  }
  constexpr int record_bytes() const { return index_at(picks()); }
};

struct PickChoice {
  int shape;    // of kWindowShapes, or kLoose: every value is loaded by itself
  bool blends;  // whether any pixel has a second tap
};

// A row of the picture, in the frame's orientation, is cut into blocks.
struct PickTables {
  const TapPair* down;    // for every row
  const TapPair* across;  // for every column
  std::int64_t rows;
  std::int64_t columns;
  std::int64_t padded;  // a whole number of the longest blocks
  PickChoice* choice;
  std::uint8_t* records;     // for every block
  std::int32_t* picked;      // scratch of every thread: two rows' taps
  std::int32_t* incomplete;  // scratch of every thread: the blocks to do again
  float* strip;              // scratch of every thread: kStrip rows
};

int item_bytes(const PackDepth& job) {
  return job.in == PackDepth::In::kUint8 ? 1 : job.in == PackDepth::In::kUint16 ? 2 : 4;
}

PickTables tables_in(Scratch& memory, const PackDepth& job) {
  const TapPairs pairs = tap_pairs_in(memory, job);
  const Geometry& g = job.geometry;
  const bool turned = g.transposed();
  PickTables t{};
  t.down = turned ? pairs.columns : pairs.rows;
  t.across = turned ? pairs.rows : pairs.columns;
  t.rows = turned ? g.picture_width : g.picture_height;
  t.columns = turned ? g.picture_height : g.picture_width;
  t.padded = (t.columns + 2 * kLanes - 1) / (2 * kLanes) * (2 * kLanes);
  const std::int64_t blocks = t.padded / kLanes;
  const Layout largest{4, true};
  t.choice = memory.take<PickChoice>(1);
  t.records = memory.take<std::uint8_t>(blocks * largest.record_bytes());
  t.picked = memory.take<std::int32_t>(t.padded * 4 * job.threads);
  t.incomplete = memory.take<std::int32_t>(blocks * job.threads);
  t.strip = memory.take<float>(turned ? kStrip * t.padded * job.threads : 0);
  return t;
}

const TapPair& across_at(const PickTables& t, std::int64_t x) {
  return t.across[fuseg::min(x, t.columns - 1)];
}

bool blends(const PickTables& t) {
  bool any = false;
  for (std::int64_t y = 0; y < t.rows; ++y) any = any || t.down[y].far_weight > 0;
  for (std::int64_t x = 0; x < t.columns; ++x) any = any || t.across[x].far_weight > 0;
  return any;
}

// The first and last of the frame's columns that `count` of the picture's read.
struct ColumnSpan {
  std::int32_t first;
  std::int32_t last;
};

ColumnSpan columns_of(const PickTables& t, std::int64_t x, int count) {
  ColumnSpan e{across_at(t, x).near, across_at(t, x).near};
  for (int i = 0; i < count; ++i) {
    const TapPair& r = across_at(t, x + i);
    e.first = fuseg::min(e.first, fuseg::min(r.near, r.far));
    e.last = fuseg::max(e.last, fuseg::max(r.near, r.far));
  }
  return e;
}

// Sets every window's base, if windows of this shape reach everything and lie inside
// the crop.
bool fits(const PackDepth& job, const PickTables& t, const Layout& layout,
          const WindowShape& shape) {
  const std::int64_t reach = shape.parts * kPartBytes / layout.item;
  const std::int64_t crop_end = job.geometry.left + job.geometry.width;
  if (reach > job.geometry.width) return false;
  const int lanes = layout.lanes() / shape.groups;
  for (std::int64_t block = 0; block < t.padded / layout.lanes(); ++block) {
    std::int32_t bases[kMostGroups] = {};
    for (int group = 0; group < shape.groups; ++group) {
      const ColumnSpan e = columns_of(t, block * layout.lanes() + group * lanes, lanes);
      const std::int64_t base = fuseg::min<std::int64_t>(e.first, crop_end - reach);
      if (e.last >= base + reach) return false;
      bases[group] = static_cast<std::int32_t>(base * layout.item);
    }
    std::memcpy(t.records + block * layout.record_bytes() + layout.base_at(), bases,
                sizeof bases);
  }
  return true;
}

void write_index(const PickTables& t, const Layout& layout, const WindowShape& shape) {
  const int item = layout.item, lanes = layout.lanes();
  for (std::int64_t block = 0; block < t.padded / lanes; ++block) {
    std::uint8_t* record = t.records + block * layout.record_bytes();
    std::uint8_t* index = record + layout.index_at(0);
    std::int32_t bases[kMostGroups];
    std::memcpy(bases, record + layout.base_at(), sizeof bases);
    clear_index(index, kIndexParts * layout.picks());
    for (int lane = 0; lane < lanes; ++lane) {
      const TapPair& r = across_at(t, block * lanes + lane);
      const int base = bases[lane * shape.groups / lanes] / item;
      if (layout.wide()) {
        set_index(index, item, word_slot(lane, item), r.near - base);
        continue;
      }
      set_index(index, item, lane_slot(lane, item), r.near - base);
      if (!layout.blends) continue;
      if (item < 4) {
        set_index(index, item, word_slot(2 * lane + 1, item), r.far - base);
      } else {
        set_index(record + layout.index_at(1), item, lane, r.far - base);
      }
    }
  }
}

void write_weights(const PickTables& t, const Layout& layout) {
  for (std::int64_t x = 0; x < t.padded; ++x) {
    std::uint8_t* record = t.records + x / kLanes * layout.record_bytes();
    const std::int64_t at = x % kLanes * 4;
    std::memcpy(record + at, &across_at(t, x).near_weight, 4);
    std::memcpy(record + layout.far_weight_at() + at, &across_at(t, x).far_weight, 4);
  }
}

// `t.down` and `t.across` are there already.
void write_tables(const PackDepth& job, const PickTables& t) {
  const Layout layout{item_bytes(job), blends(t)};
  *t.choice = {kLoose, layout.blends};
  if (layout.blends) write_weights(t, layout);
  int number = 0;
  for (const WindowShape& shape : kWindowShapes) {
    if (fits(job, t, layout, shape)) {
      t.choice->shape = number;
      return write_index(t, layout, shape);
    }
    ++number;
  }
}

}  // namespace
}  // namespace fuseg::FUSEG_LEVEL
