#include "label/samples.cuh"
#include "upsample_argmax/layouts.cuh"
#include "upsample_argmax/upsample_argmax.h"

// A block labels one tile of the image. It first finds the winners of the samples under
// the tile, each class read once. Bilinear weights are never negative and sum to 1, so
// where the four samples around agree, the label is known and nothing is interpolated.
// The rest goes on a list of units, a column of a cell and up to eight of its
// rows, so that all threads of a warp have the same work: every class once, two sums
// across and one step per row. Labels are collected on chip and leave 16 bytes at a
// time. Scores at the image's size exist in registers only.
namespace fuseg {
namespace {

constexpr int kThreads = 128;
constexpr int kTileWidth = 64;
constexpr int kTileHeight = kWarp;  // the rows are cut by one warp's votes
constexpr int kParts = 4;           // threads that share the classes of a sample
constexpr int kSamplesAtOnce = kWarp / kParts;
constexpr float kSafeBelow = 1e37f;  // from here on differences may leave float32
constexpr std::int32_t kUnsafe =
    1 << 30;                      // beside a winner: a score is not below kSafeBelow
constexpr int kFewestPixels = 3;  // of a cell, times 2: below 1.5, cells cost more

struct Task {
  const void* scores;
  void* labels;
  float* confidence;          // or null
  std::int32_t* nan_samples;  // or null
  std::int64_t height;
  std::int64_t width;
  std::int64_t pitch;
  std::int64_t out_height;
  std::int64_t out_width;
  AffineAxis rows;
  AffineAxis columns;
  std::int64_t above;  // rows of the first tile that lie above the image
  int samples_wide;    // at most, under a tile
  std::int32_t classes;
  bool by_cells;
  bool one_added;
  bool wide;
};

// Up to eight rows of one row of cells.
struct Group {
  std::int32_t row;
  std::int32_t count;
};

// What the threads of a block share. Samples and units lie behind it.
struct Tile {
  WeightedTap column[kTileWidth];
  WeightedTap row[kTileHeight];
  Group group[kTileHeight];
  std::int32_t groups;
  std::int32_t units;
  alignas(16) std::uint16_t label[kTileHeight][kTileWidth];

  __device__ std::int32_t* winners() {
    return reinterpret_cast<std::int32_t*>(this + 1);
  }
};

// Every column has a sample to its right: the last one is also the cell's before it.
__device__ WeightedTap column_of(const Task& task, std::int64_t x, std::int64_t from) {
  WeightedTap tap = weighted_tap(task.columns, x, task.width, from);
  if (task.by_cells && tap.index + from == task.width - 1) {
    tap = {tap.index - 1, 0.0f, 1.0f};
  }
  return tap;
}

struct Best {
  float score;
  std::int32_t winner;

  // Whether it does is false for NaN, and for a tie with a smaller class.
  __device__ void update(float other, std::int32_t c) {
    if (other > score) {
      score = other;
      winner = c;
    }
  }
};

// The winner of one sample, and whether all its scores are finite_safe, by kParts
// threads.
template <typename Layout>
__device__ std::int32_t winner_of(const Task& task,
                                  const typename Layout::Score* __restrict__ sample,
                                  int part) {
  constexpr int kMany = Layout::kMany;
  Best best{task.one_added ? 0.0f : -INFINITY, 0};
  bool finite_safe = true;
#pragma unroll(8 / kMany)
  for (std::int32_t c = part * kMany; c < task.classes; c += kParts * kMany) {
    const typename Layout::Some some =
        Layout::some(sample + Layout::class_at(c, task.height, task.width));
#pragma unroll
    for (int i = 0; i < kMany; ++i) {
      if (i > 0 && c + i >= task.classes) break;
      finite_safe &= fabsf(some[i]) < kSafeBelow;
      best.update(some[i], c + i + task.one_added);
    }
  }
#pragma unroll
  for (int step = kSamplesAtOnce; step < kWarp; step *= 2) {
    const float score = __shfl_xor_sync(~0u, best.score, step);
    const std::int32_t winner = __shfl_xor_sync(~0u, best.winner, step);
    finite_safe &= __shfl_xor_sync(~0u, static_cast<int>(finite_safe), step) != 0;
    if (score > best.score || (score == best.score && winner < best.winner)) {
      best = {score, winner};
    }
  }
  return best.winner | (finite_safe ? 0 : kUnsafe);
}

// The definition of some classes, at one pixel; `corner` is its upper left sample.
template <typename Layout>
__device__ typename Layout::Blend blend_at(
    const Task& task, const typename Layout::Score* __restrict__ corner,
    const WeightedTap& row, const WeightedTap& column) {
  const std::int64_t next = Layout::sample_step(task.pitch);
  const typename Layout::Blend above = Layout::across(corner, next, column);
  if (row.second == 0.0f) return above;
  return Layout::blend(above, Layout::across(corner + task.width * next, next, column),
                       row);
}

template <typename Layout>
__device__ Best label_by_definition(const Task& task,
                                    const typename Layout::Score* corner,
                                    const WeightedTap& row, const WeightedTap& column,
                                    float* confidence) {
  constexpr int kMany = Layout::kMany;
  Best best{task.one_added ? 0.0f : -INFINITY, 0};
#pragma unroll(kMany == 1 ? 4 : 1)
  for (std::int32_t c = 0; c < task.classes; c += kMany) {
    const auto score = blend_at<Layout>(
        task, corner + Layout::class_at(c, task.height, task.width), row, column);
#pragma unroll
    for (int i = 0; i < kMany; ++i) {
      if (i > 0 && c + i >= task.classes) break;
      best.update(score[i], c + i + task.one_added);
    }
  }
  if (confidence != nullptr) {
    float sum = task.one_added ? __expf(0.0f - best.score) : 0.0f;
    for (std::int32_t c = 0; c < task.classes; c += kMany) {
      const auto score = blend_at<Layout>(
          task, corner + Layout::class_at(c, task.height, task.width), row, column);
#pragma unroll
      for (int i = 0; i < kMany; ++i) {
        if (i > 0 && c + i >= task.classes) break;
        sum += __expf(score[i] - best.score);
      }
    }
    *confidence = 1.0f / sum;
  }
  return best;
}

// One class at the column of a unit: the score of its first sample row, and the step
// to the next.
struct Slope {
  float start;
  float step;
};

// Some classes of the four samples of a cell.
template <typename Layout>
struct Cell {
  typename Layout::Some above_left, above_right, below_left, below_right;

  __device__ Cell(const typename Layout::Score* above,
                  const typename Layout::Score* below, std::int64_t next)
      : above_left(Layout::some(above)),
        above_right(Layout::some(above + next)),
        below_left(Layout::some(below)),
        below_right(Layout::some(below + next)) {}

  __device__ Slope slope(int i, const WeightedTap& column) const {
    const float start =
        fmaf(column.second, above_right[i], column.first * above_left[i]);
    const float end = fmaf(column.second, below_right[i], column.first * below_left[i]);
    return {start, end - start};
  }
};

// The rows of a group at one column, in a cell with finite_safe scores.
template <typename Layout, int kRows, bool kConfident>
__device__ void label_unit(const Task& task,
                           const typename Layout::Score* __restrict__ corner, bool last,
                           const Tile& tile, const Group& group,
                           const WeightedTap& column, Best (&best)[kRows],
                           float (&confidence)[kRows]) {
  using Score = typename Layout::Score;
  constexpr int kMany = Layout::kMany;
  const std::int64_t step = Layout::class_at(kMany, task.height, task.width);
  const std::int64_t right = Layout::sample_step(task.pitch);
  float down[kRows];
#pragma unroll
  for (int r = 0; r < kRows; ++r) {
    down[r] = r < group.count ? tile.row[group.row + r].second : 0.0f;
    best[r] = {task.one_added ? 0.0f : -INFINITY, 0};
  }
  // Nothing is below the last row.
  const std::int64_t next = last ? 0 : task.width * right;
  const Score* above = corner;
  const Score* below = corner + next;
#pragma unroll(kMany == 1 ? 2 : 1)
  for (std::int32_t c = 0; c < task.classes; c += kMany) {
    const Cell<Layout> cell(above, below, right);
#pragma unroll
    for (int i = 0; i < kMany; ++i) {
      if (i > 0 && c + i >= task.classes) break;
      const Slope slope = cell.slope(i, column);
#pragma unroll
      for (int r = 0; r < kRows; ++r) {
        best[r].update(fmaf(down[r], slope.step, slope.start), c + i + task.one_added);
      }
    }
    above += step;
    below += step;
  }
  if (!kConfident) return;
  above = corner;
  below = corner + next;
#pragma unroll
  for (int r = 0; r < kRows; ++r) {
    confidence[r] = task.one_added ? __expf(0.0f - best[r].score) : 0.0f;
  }
  for (std::int32_t c = 0; c < task.classes; c += kMany) {
    const Cell<Layout> cell(above, below, right);
#pragma unroll
    for (int i = 0; i < kMany; ++i) {
      if (i > 0 && c + i >= task.classes) break;
      const Slope slope = cell.slope(i, column);
#pragma unroll
      for (int r = 0; r < kRows; ++r) {
        confidence[r] += __expf(fmaf(down[r], slope.step, slope.start) - best[r].score);
      }
    }
    above += step;
    below += step;
  }
#pragma unroll
  for (int r = 0; r < kRows; ++r) confidence[r] = 1.0f / confidence[r];
}

// Cuts the rows of the tile into groups: votes of one warp, a row each.
template <int kRows>
__device__ void cut_rows(Tile& tile, int row, int top, int count) {
  const bool there = row >= top && row < count;
  const bool first =
      there && (row == top || tile.row[row].index != tile.row[row - 1].index);
  const unsigned firsts = __ballot_sync(~0u, first);
  const unsigned up_to_here = ~0u >> (kWarp - 1 - row);
  const int start =
      there ? kWarp - 1 - __clz(static_cast<int>(firsts & up_to_here)) : 0;
  const unsigned later = firsts & ~up_to_here;
  const int end = later != 0 ? __ffs(static_cast<int>(later)) - 1 : count;
  const int parts = (end - start + kRows - 1) / kRows;
  const int size = there ? (end - start + parts - 1) / parts : 1;
  const bool opens = there && (row - start) % size == 0;
  const unsigned open = __ballot_sync(~0u, opens);
  if (opens) {
    tile.group[__popc(open & up_to_here) - 1] = {row, min(size, end - row)};
  }
  if (row == 0) {
    tile.groups = __popc(open);
    tile.units = 0;
  }
}

// The part of the image that a block labels, and what it reads for it.
template <typename Score>
struct Part {
  std::int64_t left;  // of the tile, in the image
  std::int64_t top;   // negative: the first rows of the tile lie above the image
  int first_row;      // pixels of the tile in the image: rows first_row to rows - 1,
  int rows;
  int columns;          // columns 0 to columns - 1
  std::int64_t from_y;  // the sample that taps of the tile are counted from
  std::int64_t from_x;
  const Score* scores;  // of the first class there
  float* confidence;    // of the tile's first pixel; or null
};

template <typename Layout, bool kConfident>
__device__ Part<typename Layout::Score> part_of(const Task& task) {
  using Score = typename Layout::Score;
  const std::int64_t image = blockIdx.z;
  Part<Score> part;
  part.left = std::int64_t{blockIdx.x} * kTileWidth;
  part.top = std::int64_t{blockIdx.y} * kTileHeight - task.above;
  part.first_row = static_cast<int>(max(-part.top, std::int64_t{0}));
  part.rows =
      static_cast<int>(min(task.out_height - part.top, std::int64_t{kTileHeight}));
  part.columns =
      static_cast<int>(min(task.out_width - part.left, std::int64_t{kTileWidth}));
  part.from_y = task.rows.place(part.top + part.first_row, task.height).index;
  part.from_x = task.columns.place(part.left, task.width).index;
  if (task.by_cells) part.from_x = min(part.from_x, task.width - 2);
  part.scores =
      static_cast<const Score*>(task.scores) +
      image * task.classes * task.height * task.width +
      (part.from_y * task.width + part.from_x) * Layout::sample_step(task.pitch);
  part.confidence = nullptr;
  if (kConfident) {
    part.confidence = task.confidence +
                      (image * task.out_height + part.top) * task.out_width + part.left;
  }
  return part;
}

// Phase 1: where the columns and rows of the tile lie among the samples. Threads 0 to
// 63 take a column each, threads 64 to 95 a row each. Pixels outside of the image get
// the tap of the nearest one inside.
template <typename Score>
__device__ void locate_pixels(const Task& task, const Part<Score>& part, Tile& tile) {
  const int thread = static_cast<int>(threadIdx.x);  // 0 to 127
  if (thread < kTileWidth) {
    const std::int64_t x = part.left + min(thread, part.columns - 1);
    tile.column[thread] = column_of(task, x, part.from_x);
  } else if (thread < kTileWidth + kTileHeight) {
    const int row = thread - kTileWidth;  // 0 to 31
    const std::int64_t y = part.top + max(part.first_row, min(row, part.rows - 1));
    tile.row[row] = weighted_tap(task.rows, y, task.height, part.from_y);
  }
}

// Phase 2: the winners of the samples under the tile, `high` rows of them. A warp has
// eight samples at a time, of each four threads share the classes.
template <typename Layout>
__device__ void find_winners(const Task& task, const Part<typename Layout::Score>& part,
                             Tile& tile, int high) {
  const int thread = static_cast<int>(threadIdx.x);
  const int wide = task.samples_wide;
  const int warp = thread / kWarp;                      // 0 to 3
  const int sample = thread % kSamplesAtOnce;           // 0 to 7, of a warp's
  const int classes = thread % kWarp / kSamplesAtOnce;  // 0 to 3, which share
  constexpr int kWarps = kThreads / kWarp;
  for (int i = warp * kSamplesAtOnce; i < high * wide; i += kWarps * kSamplesAtOnce) {
    const int at = min(i + sample, high * wide - 1);  // row-major under the tile
    const std::int64_t y = min(std::int64_t{at / wide}, task.height - 1 - part.from_y);
    const std::int64_t x = min(std::int64_t{at % wide}, task.width - 1 - part.from_x);
    const std::int32_t winner = winner_of<Layout>(
        task, part.scores + (y * task.width + x) * Layout::sample_step(task.pitch),
        classes);
    if (classes == 0) tile.winners()[at] = winner;
  }
}

// Phase 3a: a thread has one column of one group of rows. Where the four samples around
// agree, these rows have their label; the others, and with kConfident all, become
// units.
template <bool kConfident>
__device__ void label_agreed(Tile& tile, int columns, int wide, std::uint16_t* units) {
  for (int i = static_cast<int>(threadIdx.x); i < tile.groups * kTileWidth;
       i += kThreads) {
    const Group group = tile.group[i / kTileWidth];
    const int x = i % kTileWidth;  // 0 to 63
    const std::int32_t* corner =
        tile.winners() + tile.row[group.row].index * wide + tile.column[x].index;
    const std::int32_t winner = corner[0];
    const bool agreed = winner == corner[1] && winner == corner[wide] &&
                        winner == corner[wide + 1] && winner < kUnsafe;
    for (int r = 0; r < group.count; ++r) {
      tile.label[group.row + r][x] = static_cast<std::uint16_t>(winner);
    }
    if (x < columns && (!agreed || kConfident)) {
      units[atomicAdd(&tile.units, 1)] = static_cast<std::uint16_t>(i);
    }
  }
}

// Phase 3b: a thread has one unit at a time, up to kRows pixels below each other.
template <typename Layout, int kRows, bool kConfident>
__device__ void label_units(const Task& task, const Part<typename Layout::Score>& part,
                            Tile& tile, const std::uint16_t* units) {
  const int wide = task.samples_wide;
  for (int k = static_cast<int>(threadIdx.x); k < tile.units; k += kThreads) {
    const Group group = tile.group[units[k] / kTileWidth];
    const int x = units[k] % kTileWidth;
    const WeightedTap column = tile.column[x];
    const int y = tile.row[group.row].index;
    const std::int32_t* corner = tile.winners() + y * wide + column.index;
    const std::int32_t all = corner[0] | corner[1] | corner[wide] | corner[wide + 1];
    const typename Layout::Score* from =
        part.scores + (y * task.width + column.index) * Layout::sample_step(task.pitch);
    const bool agreed = corner[0] == corner[1] && corner[0] == corner[wide] &&
                        corner[0] == corner[wide + 1];
    if (all >= kUnsafe) {  // a score around is NaN, infinite or huge
      for (int r = group.row; r < group.row + group.count; ++r) {
        float* to = kConfident ? part.confidence + r * task.out_width + x : nullptr;
        const Best best =
            label_by_definition<Layout>(task, from, tile.row[r], column, to);
        tile.label[r][x] = static_cast<std::uint16_t>(best.winner);
      }
      continue;
    }
    Best best[kRows];
    float sure[kRows];
    const bool last = part.from_y + y == task.height - 1;
    label_unit<Layout, kRows, kConfident>(task, from, last, tile, group, column, best,
                                          sure);
#pragma unroll
    for (int r = 0; r < kRows; ++r) {
      if (r >= group.count) continue;
      if (!agreed) {
        tile.label[group.row + r][x] = static_cast<std::uint16_t>(best[r].winner);
      }
      if (kConfident) {
        part.confidence[(group.row + r) * task.out_width + x] = sure[r];
      }
    }
  }
}

// Instead of phases 2 and 3 where cells are too small to share anything: a thread has
// one pixel at a time.
template <typename Layout, bool kConfident>
__device__ void label_pixels(const Task& task, const Part<typename Layout::Score>& part,
                             Tile& tile) {
  for (int i = static_cast<int>(threadIdx.x); i < kTileHeight * kTileWidth;
       i += kThreads) {
    const int y = i / kTileWidth;  // 0 to 31
    const int x = i % kTileWidth;  // 0 to 63
    if (y < part.first_row || y >= part.rows || x >= part.columns) continue;
    const typename Layout::Score* from =
        part.scores + (tile.row[y].index * task.width + tile.column[x].index) *
                          Layout::sample_step(task.pitch);
    float* to = kConfident ? part.confidence + y * task.out_width + x : nullptr;
    const Best best =
        label_by_definition<Layout>(task, from, tile.row[y], tile.column[x], to);
    tile.label[y][x] = static_cast<std::uint16_t>(best.winner);
  }
}

template <typename Layout, int kRows, bool kConfident>
__global__ void __launch_bounds__(kThreads, 4)
    upsample_argmax_kernel(const __grid_constant__ Task task) {
  Tile& tile = *static_cast<Tile*>(shared_block());
  const int thread = static_cast<int>(threadIdx.x);
  if (task.nan_samples != nullptr && thread == 0 && blockIdx.x == 0 &&
      blockIdx.y == 0 && blockIdx.z == 0) {
    *task.nan_samples = 0;  // for the kernel that follows
  }
  const auto part = part_of<Layout, kConfident>(task);
  locate_pixels(task, part, tile);
  __syncthreads();

  if (task.by_cells) {
    const int high = tile.row[kTileHeight - 1].index + 2;
    auto* units =
        reinterpret_cast<std::uint16_t*>(tile.winners() + high * task.samples_wide);
    if (thread < kWarp) cut_rows<kRows>(tile, thread, part.first_row, part.rows);
    find_winners<Layout>(task, part, tile, high);
    __syncthreads();
    label_agreed<kConfident>(tile, part.columns, task.samples_wide, units);
    __syncthreads();
    label_units<Layout, kRows, kConfident>(task, part, tile, units);
  } else {
    label_pixels<Layout, kConfident>(task, part, tile);
  }
  __syncthreads();

  const std::int64_t at = std::int64_t{blockIdx.z} * task.out_height * task.out_width;
  void* labels = static_cast<std::uint8_t*>(task.labels) + (task.wide ? 2 * at : at);
  store_labels(LabelTarget{labels, task.wide, task.out_height, task.out_width, part.top,
                           part.left},
               tile.label);
}

// A thread per sample, once they are labelled: most of the scores are in the cache.
template <typename Layout>
__global__ void count_nan_samples_kernel(const __grid_constant__ Task task) {
  constexpr int kMany = Layout::kMany;
  const std::int64_t at = std::int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (at >= task.height * task.width) return;
  const typename Layout::Score* sample =
      static_cast<const typename Layout::Score*>(task.scores) +
      std::int64_t{blockIdx.z} * task.classes * task.height * task.width +
      at * Layout::sample_step(task.pitch);
  bool found = false;
  bool lost = !task.one_added;  // until one is above -infinity
  for (std::int32_t c = 0; c < task.classes; c += kMany) {
    const typename Layout::Some some =
        Layout::some(sample + Layout::class_at(c, task.height, task.width));
#pragma unroll
    for (int i = 0; i < kMany; ++i) {
      if (i > 0 && c + i >= task.classes) break;
      found |= !(some[i] < INFINITY);  // true for NaN
      lost &= some[i] == -INFINITY;
    }
  }
  if (found || lost) atomicAdd(task.nan_samples, 1);
}

// The most samples that `pixels` neighbours have around them.
std::int64_t samples_under(const AffineAxis& line, std::int64_t pixels,
                           std::int64_t samples) {
  return min((pixels - 1) * line.step / line.unit + 3, samples + 1);
}

template <typename Layout>
void start(const UpsampleArgmax& job, const Task& task, CUstream_st* stream) {
  const bool tall = 2 * task.rows.unit > 9 * task.rows.step;  // above 4.5 rows a cell
  const bool sure = task.confidence != nullptr;
  const auto kernel = tall ? (sure ? upsample_argmax_kernel<Layout, 8, true>
                                   : upsample_argmax_kernel<Layout, 8, false>)
                           : (sure ? upsample_argmax_kernel<Layout, 4, true>
                                   : upsample_argmax_kernel<Layout, 4, false>);
  std::int64_t bytes = sizeof(Tile);
  if (task.by_cells) {
    const std::int64_t high = samples_under(task.rows, kTileHeight, task.height);
    bytes += high * task.samples_wide * 4 + kTileHeight * kTileWidth * 2;
  }
  const dim3 blocks(
      static_cast<unsigned>(ceil_div(task.out_width, kTileWidth)),
      static_cast<unsigned>(ceil_div(task.out_height + task.above, kTileHeight)),
      static_cast<unsigned>(job.images));
  launch("upsample_argmax", kernel, blocks, kThreads, bytes, stream, task);
  if (task.nan_samples == nullptr) return;
  const dim3 cut(static_cast<unsigned>(ceil_div(task.height * task.width, kThreads)), 1,
                 static_cast<unsigned>(job.images));
  launch("upsample_argmax", count_nan_samples_kernel<Layout>, cut, kThreads, 0, stream,
         task);
}

}  // namespace

void upsample_argmax_cuda(const UpsampleArgmax& job, CUstream_st* stream) {
  if (job.images * job.out_height * job.out_width == 0) return;
  Task task{};
  task.scores = job.scores;
  task.labels = job.labels;
  task.confidence = job.confidence;
  task.nan_samples = job.nan_samples;
  task.classes = static_cast<std::int32_t>(job.classes);
  task.height = job.height;
  task.width = job.width;
  task.pitch = job.pitch;
  task.out_height = job.out_height;
  task.out_width = job.out_width;
  task.rows = job.rows;
  task.columns = job.columns;
  task.one_added = job.classes == 1;
  task.wide = job.wide();
  task.by_cells = job.height > 1 && job.width > 1 &&
                  2 * job.rows.unit >= kFewestPixels * job.rows.step &&
                  2 * job.columns.unit >= kFewestPixels * job.columns.step;
  task.samples_wide =
      static_cast<int>(samples_under(job.columns, kTileWidth, job.width));
  // The first tile ends where a cell ends: with whole scales, so do all.
  std::int64_t row = 0;
  while (row < kTileHeight && row < job.out_height &&
         job.rows.place(row, job.height).index == job.rows.place(0, job.height).index) {
    ++row;
  }
  task.above = task.by_cells ? (kTileHeight - row % kTileHeight) % kTileHeight : 0;
  if (job.pitch != 0) {
    start<SideBySide>(job, task, stream);
  } else if (job.half) {
    start<InPlanes<Half>>(job, task, stream);
  } else {
    start<InPlanes<float>>(job, task, stream);
  }
}

}  // namespace fuseg
