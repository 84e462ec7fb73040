// Cells in batches: their corners, the classes that count there, and the weights of
// their pixels, laid out so that loops run over the cells of a batch.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "upsample_argmax/grid.h"

namespace fuseg::grid {

constexpr std::int64_t kCells = 8;  // in a batch
constexpr std::int64_t kSide = 8;   // a tile is at most this many pixels each way
constexpr std::int64_t kRow = kSide * kCells;

struct Work {
  Axis columns;
  Axis rows;
  Contest contest;
  Row upper;  // the samples above and below a band
  Row lower;
  std::int32_t* cells;  // (w) cells of a band to be worked on
  float* corners;       // (C, 4, kCells) scores of a batch
};

inline Work cut(Scratch& scratch, int classes, std::int64_t height, std::int64_t width,
                std::int64_t out_height, std::int64_t out_width) {
  Work work;
  work.columns = cut_axis(scratch, width, out_width);
  work.rows = cut_axis(scratch, height, out_height);
  work.contest = {scratch.take<float>(width), scratch.take<std::int32_t>(width)};
  work.upper = {-1, scratch.take<std::uint8_t>(width + 1), false};
  work.lower = {-1, scratch.take<std::uint8_t>(width + 1), false};
  work.cells = scratch.take<std::int32_t>(width);
  work.corners = scratch.take<float>(classes * 4 * kCells);
  return work;
}

// A band is the output rows of one row of cells.
struct Band {
  std::int64_t first;
  std::int64_t end;
};

// Some cells of a band, at most kCells. What loops make of the places beyond the last
// cell, from what an earlier batch left there, is dropped.
struct Batch {
  const std::int32_t* cells;
  std::int64_t count;
};

// Pixels of a batch: the same rows and the same columns, counted from its left side, of
// every cell. A cell may have fewer columns. In a row of a tile, column x of cell i is
// at x * kCells + i.
struct Tile {
  std::int64_t first_row;
  std::int64_t rows;
  std::int64_t first_column;
  std::int64_t columns;
};

// The weights of a tile's columns in every cell; 0 where the cell has no such column.
struct Weights {
  float left[kRow];
  float right[kRow];
};

inline void take_corners(const Work& work, const Scores& scores, const Batch& batch) {
  const std::int64_t last = scores.width - 1;
  for (int c = 0; c < scores.classes; ++c) {
    const float* __restrict__ up = scores.row(c, work.upper.y);
    const float* __restrict__ down = scores.row(c, work.lower.y);
    if (up == nullptr) continue;  // the added class: zeros from the start
    float* __restrict__ corners = work.corners + c * 4 * kCells;
    for (std::int64_t i = 0; i < batch.count; ++i) {
      const std::int64_t left = batch.cells[i];
      const std::int64_t right = std::min(left + 1, last);
      corners[i] = up[left];
      corners[kCells + i] = up[right];
      corners[2 * kCells + i] = down[left];
      corners[3 * kCells + i] = down[right];
    }
  }
}

// Lists the classes that may win somewhere in the cells of a batch, in order.
inline int list_contenders(const Work& work, const Scores& scores, const Batch& batch,
                           std::int32_t* list) {
  float bar[4 * kCells];
  std::fill_n(bar, 4 * kCells, kInfinity);
  for (std::int64_t i = 0; i < batch.count; ++i) {
    const std::uint8_t* up = work.upper.labels + batch.cells[i];
    const std::uint8_t* down = work.lower.labels + batch.cells[i];
    const int winners[4] = {up[0], up[1], down[0], down[1]};
    for (int corner = 0; corner < 4; ++corner) {
      float mean = 0.0f;
      float size = 0.0f;
      for (const int winner : winners) {
        const float score = work.corners[(winner * 4 + corner) * kCells + i];
        mean += 0.25f * score;
        size += std::fabs(score);
      }
      // Lowered by more than rounding can amount to, here and in what follows: leaving
      // a class out never changes a label.
      bar[corner * kCells + i] = mean - (1e-6f * size + 1e-36f);
    }
  }
  int count = 0;
  for (int c = 0; c < scores.classes; ++c) {
    const float* __restrict__ corners = work.corners + c * 4 * kCells;
    std::int32_t may_win = 0;
    for (std::int64_t i = 0; i < 4 * kCells; ++i) may_win |= corners[i] >= bar[i];
    list[count] = c;  // the next one takes the place of one that cannot win
    count += may_win;
  }
  return count;
}

inline std::int64_t columns_in(const Axis& columns, std::int64_t cell,
                               const Tile& tile) {
  const std::int64_t all = columns.start[cell + 1] - columns.start[cell];
  return std::clamp<std::int64_t>(all - tile.first_column, 0, tile.columns);
}

inline void take_weights(const Axis& columns, const Batch& batch, const Tile& tile,
                         Weights& weights) {
  std::fill_n(weights.left, tile.columns * kCells, 0.0f);
  std::fill_n(weights.right, tile.columns * kCells, 0.0f);
  for (std::int64_t i = 0; i < batch.count; ++i) {
    const std::int64_t cell = batch.cells[i];
    const std::int64_t first = columns.start[cell] + tile.first_column;
    const std::int64_t count = columns_in(columns, cell, tile);
    for (std::int64_t x = 0; x < count; ++x) {
      weights.left[x * kCells + i] = columns.weight0[first + x];
      weights.right[x * kCells + i] = columns.weight1[first + x];
    }
  }
}

// One class along both rows of samples, at the columns of a tile.
struct Edges {
  float above[kRow];
  float below[kRow];
};

inline void widen(const float* __restrict__ corners, const Weights& weights,
                  const Tile& tile, Edges& edges) {
  for (std::int64_t x = 0; x < tile.columns; ++x) {
    const float* __restrict__ left = weights.left + x * kCells;
    const float* __restrict__ right = weights.right + x * kCells;
    float* __restrict__ above = edges.above + x * kCells;
    float* __restrict__ below = edges.below + x * kCells;
    for (std::int64_t i = 0; i < kCells; ++i) {
      above[i] = left[i] * corners[i] + right[i] * corners[kCells + i];
      below[i] = left[i] * corners[2 * kCells + i] + right[i] * corners[3 * kCells + i];
    }
  }
}

inline Batch batch_of(const std::int32_t* cells, std::int64_t count) {
  return {cells, std::min(kCells, count)};
}

// Calls `on_tile(tile)` until all pixels of a batch had their turn.
template <typename OnTile>
inline void for_tiles(const Axis& columns, const Band& band, const Batch& batch,
                      const OnTile& on_tile) {
  std::int64_t widest = 0;
  for (std::int64_t i = 0; i < batch.count; ++i) {
    const std::int32_t* start = columns.start + batch.cells[i];
    widest = std::max<std::int64_t>(widest, start[1] - start[0]);
  }
  for (std::int64_t y = band.first; y < band.end; y += kSide) {
    for (std::int64_t x = 0; x < widest; x += kSide) {
      on_tile(Tile{y, std::min(kSide, band.end - y), x, std::min(kSide, widest - x)});
    }
  }
}

}  // namespace fuseg::grid
