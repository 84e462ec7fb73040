#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>

#include "common/widest.h"
#include "upsample_argmax/batch.h"
#include "upsample_argmax/exponential.h"
#include "upsample_argmax/upsample_argmax.h"

// A cell is the rectangle between four neighbouring samples. Bilinear weights are never
// negative and sum to 1, so a class that wins at all four corners wins everywhere in
// the cell: most cells are filled without interpolating anything. The others, the
// disputed ones, are worked on in batches, the same pixel of every cell of a batch at
// once. There, a class that is below the mean of the corner winners at all four corners
// is below one of them everywhere, and is left out. What remains is interpolated and
// compared.
namespace fuseg {
namespace {

using namespace grid;

inline void label_tile(const Work& work, const Batch& batch, const Tile& tile,
                       const std::int32_t* contenders, int contender_count,
                       std::uint8_t* labels) {
  Weights weights;
  take_weights(work.columns, batch, tile, weights);
  const std::int64_t length = tile.columns * kCells;
  float best[kSide][kRow];
  std::int32_t winner[kSide][kRow];
  for (std::int64_t y = 0; y < tile.rows; ++y) {
    std::fill_n(best[y], length, -kInfinity);
    std::fill_n(winner[y], length, 0);
  }
  for (int k = 0; k < contender_count; ++k) {
    const std::int32_t c = contenders[k];
    Edges edges;
    widen(work.corners + c * 4 * kCells, weights, tile, edges);
    for (std::int64_t y = 0; y < tile.rows; ++y) {
      const float weight0 = work.rows.weight0[tile.first_row + y];
      const float weight1 = work.rows.weight1[tile.first_row + y];
      for (std::int64_t i = 0; i < length; ++i) {
        const float score = weight0 * edges.above[i] + weight1 * edges.below[i];
        const bool wins = score > best[y][i];
        const float new_best = wins ? score : best[y][i];
        const std::int32_t new_winner = wins ? c : winner[y][i];
        best[y][i] = new_best;
        winner[y][i] = new_winner;
      }
    }
  }
  for (std::int64_t i = 0; i < batch.count; ++i) {
    const std::int64_t cell = batch.cells[i];
    const std::int64_t columns = columns_in(work.columns, cell, tile);
    const std::int64_t left = work.columns.start[cell] + tile.first_column;
    for (std::int64_t y = 0; y < tile.rows; ++y) {
      std::uint8_t* out = labels + (tile.first_row + y) * work.columns.count + left;
      for (std::int64_t x = 0; x < columns; ++x) {
        out[x] = static_cast<std::uint8_t>(winner[y][x * kCells + i]);
      }
    }
  }
}

inline void confide_tile(const Work& work, const Scores& scores, const Batch& batch,
                         const Tile& tile, float* confidence) {
  Weights weights;
  take_weights(work.columns, batch, tile, weights);
  const std::int64_t length = tile.columns * kCells;
  float best[kSide][kRow];
  float sum[kSide][kRow];
  for (std::int64_t y = 0; y < tile.rows; ++y) {
    std::fill_n(best[y], length, -kInfinity);
    std::fill_n(sum[y], length, 0.0f);
  }
  Edges edges;
  for (int c = 0; c < scores.classes; ++c) {
    widen(work.corners + c * 4 * kCells, weights, tile, edges);
    for (std::int64_t y = 0; y < tile.rows; ++y) {
      const float weight0 = work.rows.weight0[tile.first_row + y];
      const float weight1 = work.rows.weight1[tile.first_row + y];
      for (std::int64_t i = 0; i < length; ++i) {
        const float score = weight0 * edges.above[i] + weight1 * edges.below[i];
        const float new_best = score > best[y][i] ? score : best[y][i];
        best[y][i] = new_best;
      }
    }
  }
  for (int c = 0; c < scores.classes; ++c) {
    widen(work.corners + c * 4 * kCells, weights, tile, edges);
    for (std::int64_t y = 0; y < tile.rows; ++y) {
      const float weight0 = work.rows.weight0[tile.first_row + y];
      const float weight1 = work.rows.weight1[tile.first_row + y];
      for (std::int64_t i = 0; i < length; ++i) {
        const float score = weight0 * edges.above[i] + weight1 * edges.below[i];
        sum[y][i] += exponential(score - best[y][i]);
      }
    }
  }
  for (std::int64_t i = 0; i < batch.count; ++i) {
    const std::int64_t cell = batch.cells[i];
    const std::int64_t columns = columns_in(work.columns, cell, tile);
    const std::int64_t left = work.columns.start[cell] + tile.first_column;
    for (std::int64_t y = 0; y < tile.rows; ++y) {
      float* out = confidence + (tile.first_row + y) * work.columns.count + left;
      for (std::int64_t x = 0; x < columns; ++x) {
        out[x] = 1.0f / sum[y][x * kCells + i];
      }
    }
  }
}

// Gives every cell the label of its upper left corner.
inline void fill_band(const Work& work, const Band& band, std::uint8_t* labels) {
  const std::int64_t out_width = work.columns.count;
  const std::int64_t cells = work.columns.samples;
  const std::uint8_t* corner = work.upper.labels;
  std::uint8_t* first = labels + band.first * out_width;
  for (std::int64_t cell = 0; cell < cells;) {
    std::int64_t end = cell + 1;
    while (end < cells && corner[end] == corner[cell]) ++end;
    const std::int64_t from = work.columns.start[cell];
    std::memset(first + from, corner[cell], work.columns.start[end] - from);
    cell = end;
  }
  for (std::int64_t y = band.first + 1; y < band.end; ++y) {
    std::memcpy(labels + y * out_width, first, out_width);
  }
}

inline std::int64_t list_disputed(const Work& work) {
  const std::uint8_t* up = work.upper.labels;
  const std::uint8_t* down = work.lower.labels;
  std::int64_t count = 0;
  for (std::int64_t cell = 0; cell < work.columns.samples; ++cell) {
    const bool agreed = (up[cell] == up[cell + 1]) & (up[cell] == down[cell]) &
                        (up[cell] == down[cell + 1]);
    work.cells[count] = static_cast<std::int32_t>(cell);
    count += !agreed;  // or the next one takes the place
  }
  return count;
}

// The definition, for bands that touch NaN or infinity: slow, and careful to read no
// sample of weight 0. Of finite samples it makes what the loops above make, bit for
// bit.
inline float blend(const float* samples, float weight0, float weight1) {
  if (samples == nullptr) return 0.0f;
  if (weight1 == 0.0f) return samples[0];
  return weight0 * samples[0] + weight1 * samples[1];
}

inline void label_by_definition(const Work& work, const Scores& scores,
                                const Band& band, std::uint8_t* labels,
                                float* confidence) {
  float* score = work.corners;
  for (std::int64_t y = band.first; y < band.end; ++y) {
    std::int64_t cell = 0;
    for (std::int64_t x = 0; x < work.columns.count; ++x) {
      while (work.columns.start[cell + 1] <= x) ++cell;
      const float left = work.columns.weight0[x];
      const float right = work.columns.weight1[x];
      float best = -kInfinity;
      int winner = 0;
      for (int c = 0; c < scores.classes; ++c) {
        const float* up = scores.row(c, work.upper.y);
        const float* down = scores.row(c, work.lower.y);
        float ends[2] = {blend(up ? up + cell : up, left, right), 0.0f};
        if (work.rows.weight1[y] != 0.0f) {
          ends[1] = blend(down ? down + cell : down, left, right);
        }
        score[c] = blend(ends, work.rows.weight0[y], work.rows.weight1[y]);
        if (score[c] > best) {
          best = score[c];
          winner = c;
        }
      }
      const std::int64_t pixel = y * work.columns.count + x;
      labels[pixel] = static_cast<std::uint8_t>(winner);
      if (confidence == nullptr) continue;
      float sum = 0.0f;
      for (int c = 0; c < scores.classes; ++c) sum += std::exp(score[c] - best);
      confidence[pixel] = 1.0f / sum;
    }
  }
  // Batches to come compute on what is left here, and expect it to be finite.
  std::fill_n(score, scores.classes, 0.0f);
}

inline void label_disputed(const Work& work, const Scores& scores, const Band& band,
                           std::uint8_t* labels) {
  const std::int64_t count = list_disputed(work);
  for (std::int64_t first = 0; first < count; first += kCells) {
    const Batch batch = batch_of(work.cells + first, count - first);
    take_corners(work, scores, batch);
    std::int32_t contenders[256];
    const int contender_count = list_contenders(work, scores, batch, contenders);
    for_tiles(work.columns, band, batch, [&](const Tile& tile) {
      label_tile(work, batch, tile, contenders, contender_count, labels);
    });
  }
}

inline void confide(const Work& work, const Scores& scores, const Band& band,
                    float* confidence) {
  for (std::int64_t cell = 0; cell < scores.width; ++cell) {
    work.cells[cell] = static_cast<std::int32_t>(cell);
  }
  for (std::int64_t first = 0; first < scores.width; first += kCells) {
    const Batch batch = batch_of(work.cells + first, scores.width - first);
    take_corners(work, scores, batch);
    for_tiles(work.columns, band, batch, [&](const Tile& tile) {
      confide_tile(work, scores, batch, tile, confidence);
    });
  }
}

inline void label_band(const Work& work, const Scores& scores, const Band& band,
                       bool on_samples, std::uint8_t* labels, float* confidence) {
  const bool finite = work.upper.finite && work.lower.finite;
  if (!finite && !(on_samples && confidence == nullptr)) {
    label_by_definition(work, scores, band, labels, confidence);
    return;
  }
  fill_band(work, band, labels);
  if (!on_samples) label_disputed(work, scores, band, labels);
  if (confidence != nullptr) confide(work, scores, band, confidence);
}

inline void label_bands(Work& work, const Scores& scores, std::uint8_t* labels,
                        float* confidence) {
  const bool on_samples =
      scores.height == work.rows.count && scores.width == work.columns.count;
  for (std::int64_t cell = 0; cell < scores.height; ++cell) {
    const Band band{work.rows.start[cell], work.rows.start[cell + 1]};
    if (band.first == band.end) continue;
    if (work.lower.y == cell) {
      std::swap(work.upper, work.lower);
    } else {
      label_row(scores, cell, work.contest, work.upper);
    }
    const std::int64_t next = std::min(cell + 1, scores.height - 1);
    label_row(scores, next, work.contest, work.lower);
    label_band(work, scores, band, on_samples, labels, confidence);
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
  const bool one_added = classes == 1;
  const Scores given{scores, classes + one_added, one_added, height, width};
  Scratch block(scratch);
  Work work = cut(block, given.classes, height, width, out_height, out_width);
  lay_axis(work.columns, align_corners);
  lay_axis(work.rows, align_corners);
  std::fill_n(work.corners, given.classes * 4 * kCells, 0.0f);
  run_widest([&] { label_bands(work, given, labels, confidence); });
}

}  // namespace fuseg
