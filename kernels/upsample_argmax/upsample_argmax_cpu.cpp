// A cell is the square between four neighbouring samples. Bilinear weights are never
// negative and sum to 1, so a class that wins at all four corners wins everywhere in the
// cell: most cells are filled without interpolating anything. In the others, a class
// that is below the mean of the corner winners at all four corners is below one of them
// everywhere, and is left out. What remains is interpolated and compared.
#include "upsample_argmax/upsample_argmax.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <utility>

#include "common/exponential.h"
#include "common/four.h"
#include "common/resample.h"
#include "common/scratch.h"
#include "common/widest.h"

namespace fuseg {
namespace {

constexpr std::int64_t kLanes = 16;  // loops work on whole groups of this many
constexpr std::int64_t kPiece = 64;  // columns, and cells, worked on together
constexpr float kInfinity = std::numeric_limits<float>::infinity();

inline std::int64_t rounded_up(std::int64_t count) {
  return (count + kLanes - 1) / kLanes * kLanes;
}

// A short memcpy without the call.
inline void copy_short(std::uint8_t* to, const std::uint8_t* from, std::int64_t count) {
  for (; count >= 8; count -= 8, to += 8, from += 8) std::memcpy(to, from, 8);
  for (; count >= 4; count -= 4, to += 4, from += 4) std::memcpy(to, from, 4);
  for (; count > 0; --count) *to++ = *from++;
}

// Where output columns read. Column x lies in cell `cell[x]`, and cell i holds columns
// [start[i], start[i + 1]).
struct Columns {
  std::int64_t count;
  std::int32_t* cell;
  std::int32_t* start;
  float* left;
  float* right;
};

// One row of the network's grid, copied so that reading past its end is allowed and
// repeats the last sample. Class c is at scores + c * stride.
struct Row {
  float* scores;
  std::uint8_t* labels;
  std::int64_t index;
  bool finite;
};

struct Work {
  Columns columns;
  Row rows[2];
  std::int64_t stride;
  float* best;          // (w + kLanes)
  std::int32_t* label;  // (w + kLanes)
  float* above;         // (C, kPiece + kLanes): scores of a piece, widened to its columns,
  float* below;         // along the upper and the lower row of cells
};

constexpr std::int64_t kWide = kPiece + kLanes;

Work cut(Scratch& scratch, int classes, std::int64_t width, std::int64_t out_width) {
  Work work;
  work.stride = width + 1 + kPiece + kLanes;
  work.columns = {out_width, scratch.take<std::int32_t>(out_width),
                  scratch.take<std::int32_t>(width + 1),
                  scratch.take<float>(out_width + kLanes),
                  scratch.take<float>(out_width + kLanes)};
  for (Row& row : work.rows) {
    row = {scratch.take<float>(classes * work.stride),
           scratch.take<std::uint8_t>(width + 1), -1, false};
  }
  work.best = scratch.take<float>(width);
  work.label = scratch.take<std::int32_t>(width);
  work.above = scratch.take<float>(classes * kWide);
  work.below = scratch.take<float>(classes * kWide);
  return work;
}

void lay_columns(const Columns& columns, std::int64_t width, bool align_corners) {
  std::int64_t cell = 0;
  columns.start[0] = 0;
  for (std::int64_t x = 0; x < columns.count; ++x) {
    const Tap tap = linear_tap(x, width, columns.count, align_corners);
    while (cell < tap.index) columns.start[++cell] = static_cast<std::int32_t>(x);
    columns.cell[x] = static_cast<std::int32_t>(tap.index);
    columns.left[x] = static_cast<float>(1.0 - tap.fraction);
    columns.right[x] = static_cast<float>(tap.fraction);
  }
  while (cell < width) {
    columns.start[++cell] = static_cast<std::int32_t>(columns.count);
  }
  std::fill_n(columns.left + columns.count, kLanes, 0.0f);
  std::fill_n(columns.right + columns.count, kLanes, 0.0f);
}

// Copies one row of the grid, and labels it.
inline void read_row(const float* scores, int classes, std::int64_t height,
                     std::int64_t width, std::int64_t index, const Work& work, Row& row) {
  const int real = classes == 1 ? 2 : classes;
  float* __restrict__ best = work.best;
  std::int32_t* __restrict__ label = work.label;
  std::fill_n(best, width, -kInfinity);
  std::fill_n(label, width, 0);
  std::int32_t finite = 1;
  for (int c = 0; c < real; ++c) {
    float* __restrict__ copy = row.scores + c * work.stride;
    const int from = classes == 1 ? 0 : c;
    const float* __restrict__ given = scores + (from * height + index) * width;
    if (classes == 1 && c == 0) {
      std::fill_n(copy, width, 0.0f);
    } else {
      std::copy_n(given, width, copy);
    }
    std::fill_n(copy + width, work.stride - width, copy[width - 1]);
    for (std::int64_t x = 0; x < width; ++x) {
      const float score = copy[x];
      const bool wins = score > best[x];
      const float better = wins ? score : best[x];
      const std::int32_t winner = wins ? c : label[x];
      best[x] = better;
      label[x] = winner;
      finite &= std::fabs(score) <= std::numeric_limits<float>::max();
    }
  }
  for (std::int64_t x = 0; x < width; ++x) {
    row.labels[x] = static_cast<std::uint8_t>(label[x]);
  }
  row.labels[width] = row.labels[width - 1];
  row.index = index;
  row.finite = finite != 0;
}

// A run of output columns, with the cells they lie in.
struct Piece {
  std::int64_t first_column;
  std::int64_t columns;
  std::int64_t first_cell;
  std::int64_t cells;
};

inline Piece piece_from(const Columns& columns, std::int64_t first, std::int64_t end) {
  Piece piece{first, std::min(kPiece, end - first), columns.cell[first], 0};
  while (columns.cell[first + piece.columns - 1] - piece.first_cell >= kPiece) {
    piece.columns = (piece.columns + 1) / 2;
  }
  piece.cells = columns.cell[first + piece.columns - 1] - piece.first_cell + 1;
  return piece;
}

// Interpolates one class along one row of samples.
inline void widen(const float* __restrict__ scores, const Columns& columns,
                  const Piece& piece, float* __restrict__ out) {
  const std::int64_t end = piece.first_column + piece.columns;
  for (std::int64_t i = 0; i < piece.cells; ++i) {
    const std::int64_t cell = piece.first_cell + i;
    const float a = scores[cell];
    const float b = scores[cell + 1];
    const std::int64_t from =
        std::max<std::int64_t>(columns.start[cell], piece.first_column);
    const std::int64_t to = std::min<std::int64_t>(columns.start[cell + 1], end);
    for (std::int64_t x = from; x < to; x += 4) {
      store_four(out + (x - piece.first_column),
                 load_four(columns.left + x) * a + load_four(columns.right + x) * b);
    }
  }
}

// Lists the classes that may win somewhere in a piece, in order; see the top.
inline int contenders(const Row& above, const Row& below, std::int64_t stride,
                      int classes, const Piece& piece, std::int32_t* list) {
  float bar[4][kPiece + kLanes];
  const std::int64_t lanes = rounded_up(piece.cells);
  for (std::int64_t i = piece.cells; i < lanes; ++i) {
    for (int j = 0; j < 4; ++j) bar[j][i] = kInfinity;
  }
  for (std::int64_t i = 0; i < piece.cells; ++i) {
    const std::int64_t cell = piece.first_cell + i;
    const int winners[4] = {above.labels[cell], above.labels[cell + 1],
                            below.labels[cell], below.labels[cell + 1]};
    Four sum = {};
    Four size = {};
    for (const int winner : winners) {
      const float* up = above.scores + winner * stride + cell;
      const float* down = below.scores + winner * stride + cell;
      const Four corners = {up[0], up[1], down[0], down[1]};
      sum += 0.25f * corners;
      size += corners > 0.0f ? corners : -corners;
    }
    // Lowered by more than rounding can amount to, here and in what follows: leaving a
    // class out never changes a label.
    sum -= 1e-6f * size + 1e-36f;
    for (int j = 0; j < 4; ++j) bar[j][i] = sum[j];
  }
  int count = 0;
  for (int c = 0; c < classes; ++c) {
    const float* up = above.scores + c * stride + piece.first_cell;
    const float* down = below.scores + c * stride + piece.first_cell;
    std::int32_t may_win = 0;
    for (std::int64_t i = 0; i < lanes; ++i) {
      may_win |= (up[i] >= bar[0][i]) | (up[i + 1] >= bar[1][i]) |
                 (down[i] >= bar[2][i]) | (down[i + 1] >= bar[3][i]);
    }
    if (may_win) list[count++] = c;
  }
  return count;
}

// Rows of output between two rows of samples.
struct Band {
  std::int64_t first;
  std::int64_t end;
};

struct Weights {
  float above;
  float below;
};

inline Weights weights_of(std::int64_t y, std::int64_t height, std::int64_t out_height,
                          bool align_corners) {
  const double fraction = linear_tap(y, height, out_height, align_corners).fraction;
  return {static_cast<float>(1.0 - fraction), static_cast<float>(fraction)};
}

struct Grid {
  int classes;
  std::int64_t height;
  std::int64_t width;
  std::int64_t out_height;
  std::int64_t out_width;
  bool align_corners;
};

inline void label_piece(const Grid& grid, const Work& work, const Piece& piece,
                        const Band& band, std::uint8_t* labels) {
  std::int32_t list[256];
  const int count = contenders(work.rows[0], work.rows[1], work.stride, grid.classes,
                               piece, list);
  for (int k = 0; k < count; ++k) {
    widen(work.rows[0].scores + list[k] * work.stride, work.columns, piece,
          work.above + k * kWide);
    widen(work.rows[1].scores + list[k] * work.stride, work.columns, piece,
          work.below + k * kWide);
  }
  const std::int64_t lanes = rounded_up(piece.columns);
  for (std::int64_t y = band.first; y < band.end; ++y) {
    const Weights w = weights_of(y, grid.height, grid.out_height, grid.align_corners);
    float best[kWide];
    std::int32_t label[kWide];
    for (std::int64_t x = 0; x < lanes; ++x) {
      best[x] = -kInfinity;
      label[x] = 0;
    }
    for (int k = 0; k < count; ++k) {
      const float* __restrict__ up = work.above + k * kWide;
      const float* __restrict__ down = work.below + k * kWide;
      const std::int32_t c = list[k];
      for (std::int64_t x = 0; x < lanes; ++x) {
        const float score = w.above * up[x] + w.below * down[x];
        const bool wins = score > best[x];
        const float better = wins ? score : best[x];
        const std::int32_t winner = wins ? c : label[x];
        best[x] = better;
        label[x] = winner;
      }
    }
    std::uint8_t bytes[kWide];
    for (std::int64_t x = 0; x < lanes; ++x) {
      bytes[x] = static_cast<std::uint8_t>(label[x]);
    }
    copy_short(labels + y * grid.out_width + piece.first_column, bytes, piece.columns);
  }
}

inline void confide_piece(const Grid& grid, const Work& work, const Piece& piece,
                          const Band& band, float* confidence) {
  for (int c = 0; c < grid.classes; ++c) {
    widen(work.rows[0].scores + c * work.stride, work.columns, piece,
          work.above + c * kWide);
    widen(work.rows[1].scores + c * work.stride, work.columns, piece,
          work.below + c * kWide);
  }
  const std::int64_t lanes = rounded_up(piece.columns);
  for (std::int64_t y = band.first; y < band.end; ++y) {
    const Weights w = weights_of(y, grid.height, grid.out_height, grid.align_corners);
    float best[kWide];
    float sum[kWide];
    for (std::int64_t x = 0; x < lanes; ++x) {
      best[x] = -kInfinity;
      sum[x] = 0.0f;
    }
    for (int c = 0; c < grid.classes; ++c) {
      const float* __restrict__ up = work.above + c * kWide;
      const float* __restrict__ down = work.below + c * kWide;
      for (std::int64_t x = 0; x < lanes; ++x) {
        const float score = w.above * up[x] + w.below * down[x];
        const float better = score > best[x] ? score : best[x];
        best[x] = better;
      }
    }
    for (int c = 0; c < grid.classes; ++c) {
      const float* __restrict__ up = work.above + c * kWide;
      const float* __restrict__ down = work.below + c * kWide;
      for (std::int64_t x = 0; x < lanes; ++x) {
        const float score = w.above * up[x] + w.below * down[x];
        sum[x] += exponential(score - best[x]);
      }
    }
    float* __restrict__ out = confidence + y * grid.out_width + piece.first_column;
    for (std::int64_t x = 0; x < piece.columns; ++x) out[x] = 1.0f / sum[x];
  }
}

// The definition, for rows that hold NaN or infinity: slow, and reads no sample of
// weight 0. For finite samples it gives what the fast loops give, bit for bit.
inline float blend(float a, float b, float weight_a, float weight_b) {
  if (weight_b == 0.0f) return a;
  return weight_a * a + weight_b * b;
}

inline void label_band_by_definition(const Grid& grid, const Work& work,
                                     const Band& band, std::uint8_t* labels,
                                     float* confidence) {
  for (std::int64_t y = band.first; y < band.end; ++y) {
    const Weights w = weights_of(y, grid.height, grid.out_height, grid.align_corners);
    for (std::int64_t x = 0; x < grid.out_width; ++x) {
      const std::int64_t cell = work.columns.cell[x];
      const float left = work.columns.left[x];
      const float right = work.columns.right[x];
      float best = -kInfinity;
      int label = 0;
      float* score = work.above;
      for (int c = 0; c < grid.classes; ++c) {
        const float* up = work.rows[0].scores + c * work.stride + cell;
        const float* down = work.rows[1].scores + c * work.stride + cell;
        score[c] = blend(blend(up[0], up[1], left, right),
                         w.below == 0.0f ? 0.0f : blend(down[0], down[1], left, right),
                         w.above, w.below);
        if (score[c] > best) {
          best = score[c];
          label = c;
        }
      }
      labels[y * grid.out_width + x] = static_cast<std::uint8_t>(label);
      if (confidence == nullptr) continue;
      float sum = 0.0f;
      for (int c = 0; c < grid.classes; ++c) sum += std::exp(score[c] - best);
      confidence[y * grid.out_width + x] = 1.0f / sum;
    }
  }
}

inline bool corners_agree(const Work& work, std::int64_t cell) {
  const std::uint8_t* up = work.rows[0].labels + cell;
  const std::uint8_t* down = work.rows[1].labels + cell;
  return up[0] == up[1] && up[0] == down[0] && up[0] == down[1];
}

// Fills every cell of a band with the label of its upper left corner.
inline void fill_band(const Grid& grid, const Work& work, const Band& band,
                      std::uint8_t* labels) {
  std::uint8_t* first = labels + band.first * grid.out_width;
  const std::uint8_t* corner = work.rows[0].labels;
  for (std::int64_t cell = 0; cell < grid.width;) {
    std::int64_t end = cell + 1;
    while (end < grid.width && corner[end] == corner[cell]) ++end;
    const std::int32_t from = work.columns.start[cell];
    std::memset(first + from, corner[cell], work.columns.start[end] - from);
    cell = end;
  }
  for (std::int64_t y = band.first + 1; y < band.end; ++y) {
    std::memcpy(labels + y * grid.out_width, first, grid.out_width);
  }
}

inline void label_band(const Grid& grid, const Work& work, const Band& band,
                       std::uint8_t* labels) {
  fill_band(grid, work, band, labels);
  for (std::int64_t cell = 0; cell < grid.width;) {
    if (corners_agree(work, cell)) {
      ++cell;
      continue;
    }
    std::int64_t end = cell + 1;
    while (end < grid.width && !corners_agree(work, end)) ++end;
    for (std::int64_t x = work.columns.start[cell]; x < work.columns.start[end];) {
      const Piece piece = piece_from(work.columns, x, work.columns.start[end]);
      label_piece(grid, work, piece, band, labels);
      x += piece.columns;
    }
    cell = end;
  }
}

inline void bring_row(const float* scores, int given_classes, const Grid& grid,
                      std::int64_t index, Work& work, int slot) {
  if (work.rows[slot].index == index) return;
  if (work.rows[1 - slot].index == index) {
    std::swap(work.rows[0], work.rows[1]);
    return;
  }
  read_row(scores, given_classes, grid.height, grid.width, index, work,
           work.rows[slot]);
}

inline void run(const float* scores, int given_classes, const Grid& grid, Work& work,
                std::uint8_t* labels, float* confidence) {
  for (std::int64_t y = 0; y < grid.out_height;) {
    const auto row_of = [&grid](std::int64_t row) {
      return linear_tap(row, grid.height, grid.out_height, grid.align_corners).index;
    };
    const std::int64_t above = row_of(y);
    Band band{y, y + 1};
    while (band.end < grid.out_height && row_of(band.end) == above) ++band.end;
    y = band.end;

    bring_row(scores, given_classes, grid, above, work, 0);
    const bool last = above + 1 == grid.height;
    const Row kept = work.rows[1];
    if (last) {
      work.rows[1] = work.rows[0];
    } else {
      bring_row(scores, given_classes, grid, above + 1, work, 1);
    }
    if (!work.rows[0].finite || !work.rows[1].finite) {
      label_band_by_definition(grid, work, band, labels, confidence);
    } else {
      label_band(grid, work, band, labels);
      for (std::int64_t x = 0; confidence != nullptr && x < grid.out_width;) {
        const Piece piece = piece_from(work.columns, x, grid.out_width);
        confide_piece(grid, work, piece, band, confidence);
        x += piece.columns;
      }
    }
    if (last) work.rows[1] = kept;
  }
}

}  // namespace

std::int64_t upsample_argmax_scratch_bytes(int classes, std::int64_t width,
                                           std::int64_t out_width) {
  Scratch measure(nullptr);
  cut(measure, std::max(classes, 2), width, out_width);
  return measure.bytes();
}

void upsample_argmax_cpu(const float* scores, int classes, std::int64_t height,
                         std::int64_t width, std::uint8_t* labels, float* confidence,
                         std::int64_t out_height, std::int64_t out_width,
                         bool align_corners, void* scratch) {
  Scratch block(scratch);
  const Grid grid{std::max(classes, 2), height,    width,
                  out_height,           out_width, align_corners};
  Work work = cut(block, grid.classes, width, out_width);
  lay_columns(work.columns, width, align_corners);
  run_widest([&] { run(scores, classes, grid, work, labels, confidence); });
}

}  // namespace fuseg
