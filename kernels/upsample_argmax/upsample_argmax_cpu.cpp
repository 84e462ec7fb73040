// A cell is the rectangle between four neighbouring samples. Bilinear weights are never
// negative and sum to 1, so a class that wins at all four corners wins everywhere in
// the cell: most cells are filled without interpolating anything. In the others, a
// class that is below the mean of the corner winners at all four corners is below one
// of them everywhere, and is left out. What remains is interpolated and compared.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>

#include "common/exponential.h"
#include "common/four.h"
#include "common/widest.h"
#include "upsample_argmax/grid.h"
#include "upsample_argmax/upsample_argmax.h"

namespace fuseg {
namespace {

using namespace grid;

constexpr std::int64_t kWide = kPiece + kLanes;

struct Work {
  Axis columns;
  Axis rows;
  RowReader reader;
  Row upper;  // the rows of samples above and below a band
  Row lower;
  float* above;  // (C, kWide) scores of a piece along the upper row of samples,
  float* below;  // and the lower, interpolated to its columns
};

Work cut(Scratch& scratch, int classes, std::int64_t height, std::int64_t width,
         std::int64_t out_height, std::int64_t out_width) {
  const Axis columns = cut_axis(scratch, width, out_width);
  const Axis rows = cut_axis(scratch, height, out_height);
  const RowReader reader = cut_reader(scratch, classes, width);
  const Row upper = cut_row(scratch, reader);
  const Row lower = cut_row(scratch, reader);
  return {columns,
          rows,
          reader,
          upper,
          lower,
          scratch.take<float>(classes * kWide),
          scratch.take<float>(classes * kWide)};
}

// A band is the output rows of one row of cells.
struct Band {
  std::int64_t first;
  std::int64_t end;
};

// A piece is a run of output columns, with the cells they lie in.
struct Piece {
  std::int64_t first_column;
  std::int64_t columns;
  std::int64_t first_cell;
  std::int64_t cells;
};

inline Piece piece_from(const Axis& columns, std::int64_t first, std::int64_t end) {
  Piece piece{first, std::min(kPiece, end - first), columns.cell[first], 0};
  while (columns.cell[first + piece.columns - 1] - piece.first_cell >= kPiece) {
    piece.columns = (piece.columns + 1) / 2;
  }
  piece.cells = columns.cell[first + piece.columns - 1] - piece.first_cell + 1;
  return piece;
}

// Interpolates one class along one row of samples. May write 3 columns too many.
inline void widen(const float* __restrict__ scores, const Axis& columns,
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
      store_four(
          out + (x - piece.first_column),
          load_four(columns.weight0 + x) * a + load_four(columns.weight1 + x) * b);
    }
  }
}

inline void widen_class(const Work& work, int c, const Piece& piece, int slot) {
  const std::int64_t at = c * work.reader.stride;
  widen(work.upper.scores + at, work.columns, piece, work.above + slot * kWide);
  widen(work.lower.scores + at, work.columns, piece, work.below + slot * kWide);
}

// What a class must reach at a corner of a cell, or at another, to win inside it.
inline Four bar_of_cell(const Work& work, std::int64_t cell) {
  const std::uint8_t* up_label = work.upper.labels + cell;
  const std::uint8_t* down_label = work.lower.labels + cell;
  const int winners[4] = {up_label[0], up_label[1], down_label[0], down_label[1]};
  Four mean = {};
  Four size = {};
  for (const int winner : winners) {
    const float* up = work.upper.scores + winner * work.reader.stride + cell;
    const float* down = work.lower.scores + winner * work.reader.stride + cell;
    const Four corners = {up[0], up[1], down[0], down[1]};
    mean += 0.25f * corners;
    size += corners > 0.0f ? corners : -corners;
  }
  // Lowered by more than rounding can amount to, here and in what follows: leaving a
  // class out never changes a label.
  return mean - (1e-6f * size + 1e-36f);
}

// Lists the classes that may win somewhere in a piece, in order.
inline int contenders(const Work& work, const Piece& piece, std::int32_t* list) {
  float bar[4][kWide];
  const std::int64_t lanes = rounded_up(piece.cells);
  for (std::int64_t i = 0; i < lanes; ++i) {
    Four corners = {kInfinity, kInfinity, kInfinity, kInfinity};
    if (i < piece.cells) corners = bar_of_cell(work, piece.first_cell + i);
    for (int j = 0; j < 4; ++j) bar[j][i] = corners[j];
  }
  int count = 0;
  for (int c = 0; c < work.reader.classes; ++c) {
    const std::int64_t at = c * work.reader.stride + piece.first_cell;
    const float* __restrict__ up = work.upper.scores + at;
    const float* __restrict__ down = work.lower.scores + at;
    std::int32_t may_win = 0;
    for (std::int64_t i = 0; i < lanes; ++i) {
      may_win |= (up[i] >= bar[0][i]) | (up[i + 1] >= bar[1][i]) |
                 (down[i] >= bar[2][i]) | (down[i + 1] >= bar[3][i]);
    }
    list[count] = c;  // and forgotten again, unless it counts
    count += may_win;
  }
  return count;
}

// A short memcpy without the call.
inline void copy_short(std::uint8_t* to, const std::uint8_t* from, std::int64_t count) {
  for (; count >= 8; count -= 8, to += 8, from += 8) std::memcpy(to, from, 8);
  for (; count >= 4; count -= 4, to += 4, from += 4) std::memcpy(to, from, 4);
  for (; count > 0; --count) *to++ = *from++;
}

inline void label_piece(const Work& work, const Piece& piece, const Band& band,
                        std::uint8_t* labels) {
  std::int32_t list[256];
  const int count = contenders(work, piece, list);
  for (int k = 0; k < count; ++k) widen_class(work, list[k], piece, k);

  const std::int64_t lanes = rounded_up(piece.columns);
  for (std::int64_t y = band.first; y < band.end; ++y) {
    const float weight0 = work.rows.weight0[y];
    const float weight1 = work.rows.weight1[y];
    float best[kWide];
    std::int32_t winner[kWide];
    for (std::int64_t x = 0; x < lanes; ++x) {
      best[x] = -kInfinity;
      winner[x] = 0;
    }
    for (int k = 0; k < count; ++k) {
      const float* __restrict__ up = work.above + k * kWide;
      const float* __restrict__ down = work.below + k * kWide;
      const std::int32_t c = list[k];
      for (std::int64_t x = 0; x < lanes; ++x) {
        const float score = weight0 * up[x] + weight1 * down[x];
        const bool wins = score > best[x];
        const float new_best = wins ? score : best[x];
        const std::int32_t new_winner = wins ? c : winner[x];
        best[x] = new_best;
        winner[x] = new_winner;
      }
    }
    std::uint8_t bytes[kWide];
    for (std::int64_t x = 0; x < lanes; ++x) {
      bytes[x] = static_cast<std::uint8_t>(winner[x]);
    }
    copy_short(labels + y * work.columns.count + piece.first_column, bytes,
               piece.columns);
  }
}

inline void confide_piece(const Work& work, const Piece& piece, const Band& band,
                          float* confidence) {
  const int classes = work.reader.classes;
  for (int c = 0; c < classes; ++c) widen_class(work, c, piece, c);

  for (std::int64_t y = band.first; y < band.end; ++y) {
    const float weight0 = work.rows.weight0[y];
    const float weight1 = work.rows.weight1[y];
    float best[kWide];
    float sum[kWide];
    for (std::int64_t x = 0; x < piece.columns; ++x) {
      best[x] = -kInfinity;
      sum[x] = 0.0f;
    }
    for (int c = 0; c < classes; ++c) {
      const float* __restrict__ up = work.above + c * kWide;
      const float* __restrict__ down = work.below + c * kWide;
      for (std::int64_t x = 0; x < piece.columns; ++x) {
        const float score = weight0 * up[x] + weight1 * down[x];
        const float new_best = score > best[x] ? score : best[x];
        best[x] = new_best;
      }
    }
    for (int c = 0; c < classes; ++c) {
      const float* __restrict__ up = work.above + c * kWide;
      const float* __restrict__ down = work.below + c * kWide;
      for (std::int64_t x = 0; x < piece.columns; ++x) {
        const float score = weight0 * up[x] + weight1 * down[x];
        sum[x] += exponential(score - best[x]);
      }
    }
    float* out = confidence + y * work.columns.count + piece.first_column;
    for (std::int64_t x = 0; x < piece.columns; ++x) out[x] = 1.0f / sum[x];
  }
}

// The definition, for bands that touch NaN or infinity: slow, and careful to read no
// sample of weight 0. Of finite samples it makes what the loops above make, bit for
// bit.
inline float blend(const float* samples, float weight0, float weight1) {
  if (weight1 == 0.0f) return samples[0];
  return weight0 * samples[0] + weight1 * samples[1];
}

inline void label_by_definition(const Work& work, const Band& band,
                                std::uint8_t* labels, float* confidence) {
  float* scores = work.above;
  for (std::int64_t y = band.first; y < band.end; ++y) {
    for (std::int64_t x = 0; x < work.columns.count; ++x) {
      const float weight0 = work.columns.weight0[x];
      const float weight1 = work.columns.weight1[x];
      float best = -kInfinity;
      int winner = 0;
      for (int c = 0; c < work.reader.classes; ++c) {
        const std::int64_t at = c * work.reader.stride + work.columns.cell[x];
        float ends[2] = {blend(work.upper.scores + at, weight0, weight1), 0.0f};
        if (work.rows.weight1[y] != 0.0f) {
          ends[1] = blend(work.lower.scores + at, weight0, weight1);
        }
        scores[c] = blend(ends, work.rows.weight0[y], work.rows.weight1[y]);
        if (scores[c] > best) {
          best = scores[c];
          winner = c;
        }
      }
      const std::int64_t pixel = y * work.columns.count + x;
      labels[pixel] = static_cast<std::uint8_t>(winner);
      if (confidence == nullptr) continue;
      float sum = 0.0f;
      for (int c = 0; c < work.reader.classes; ++c) sum += std::exp(scores[c] - best);
      confidence[pixel] = 1.0f / sum;
    }
  }
}

// Gives every cell the label of its upper left corner.
inline void fill_band(const Work& work, const Band& band, std::uint8_t* labels) {
  const std::int64_t out_width = work.columns.count;
  const std::uint8_t* corner = work.upper.labels;
  std::uint8_t* first = labels + band.first * out_width;
  for (std::int64_t cell = 0; cell < work.reader.width;) {
    std::int64_t end = cell + 1;
    while (end < work.reader.width && corner[end] == corner[cell]) ++end;
    const std::int64_t from = work.columns.start[cell];
    std::memset(first + from, corner[cell], work.columns.start[end] - from);
    cell = end;
  }
  for (std::int64_t y = band.first + 1; y < band.end; ++y) {
    std::memcpy(labels + y * out_width, first, out_width);
  }
}

inline bool corners_agree(const Work& work, std::int64_t cell) {
  const std::uint8_t* up = work.upper.labels + cell;
  const std::uint8_t* down = work.lower.labels + cell;
  return up[0] == up[1] && up[0] == down[0] && up[0] == down[1];
}

inline void label_disputed(const Work& work, const Band& band, std::uint8_t* labels) {
  for (std::int64_t cell = 0; cell < work.reader.width; ++cell) {
    if (corners_agree(work, cell)) continue;
    const std::int64_t first = cell;
    while (cell < work.reader.width && !corners_agree(work, cell)) ++cell;
    const std::int64_t end = work.columns.start[cell];
    for (std::int64_t x = work.columns.start[first]; x < end;) {
      const Piece piece = piece_from(work.columns, x, end);
      label_piece(work, piece, band, labels);
      x += piece.columns;
    }
  }
}

inline void confide(const Work& work, const Band& band, float* confidence) {
  for (std::int64_t x = 0; x < work.columns.count;) {
    const Piece piece = piece_from(work.columns, x, work.columns.count);
    confide_piece(work, piece, band, confidence);
    x += piece.columns;
  }
}

inline void label_bands(Work& work, const float* scores, std::int64_t height,
                        bool lone_class, std::uint8_t* labels, float* confidence) {
  const std::int64_t width = work.reader.width;
  const bool on_samples = height == work.rows.count && width == work.columns.count;
  std::int64_t in_lower = -1;
  for (std::int64_t cell = 0; cell < height; ++cell) {
    const Band band{work.rows.start[cell], work.rows.start[cell + 1]};
    if (band.first == band.end) continue;
    const std::int64_t next = std::min(cell + 1, height - 1);
    if (in_lower == cell) {
      std::swap(work.upper, work.lower);
    } else {
      read_row(work.reader, scores + cell * width, height * width, lone_class,
               work.upper);
    }
    read_row(work.reader, scores + next * width, height * width, lone_class,
             work.lower);
    in_lower = next;

    const bool finite = work.upper.finite && work.lower.finite;
    if (!finite && !(on_samples && confidence == nullptr)) {
      label_by_definition(work, band, labels, confidence);
      continue;
    }
    fill_band(work, band, labels);
    if (!on_samples) label_disputed(work, band, labels);
    if (confidence != nullptr) confide(work, band, confidence);
  }
}

}  // namespace

std::int64_t upsample_argmax_scratch_bytes(int classes, std::int64_t height,
                                           std::int64_t width, std::int64_t out_height,
                                           std::int64_t out_width) {
  Scratch measure(nullptr);
  cut(measure, std::max(classes, 2), height, width, out_height, out_width);
  return measure.bytes();
}

void upsample_argmax_cpu(const float* scores, int classes, std::int64_t height,
                         std::int64_t width, std::uint8_t* labels, float* confidence,
                         std::int64_t out_height, std::int64_t out_width,
                         bool align_corners, void* scratch) {
  Scratch block(scratch);
  Work work = cut(block, std::max(classes, 2), height, width, out_height, out_width);
  lay_axis(work.columns, width, align_corners);
  lay_axis(work.rows, height, align_corners);
  // A piece seldom ends where a group of lanes does: what lies beyond is compared too.
  std::fill_n(work.above, work.reader.classes * kWide, 0.0f);
  std::fill_n(work.below, work.reader.classes * kWide, 0.0f);
  run_widest(
      [&] { label_bands(work, scores, height, classes == 1, labels, confidence); });
}

}  // namespace fuseg
