// Labels lie in patches, so most pixels have the pair of labels of the pixel before
// them. Tile by tile: find where the pair changes, 64 pixels at a time, write down
// those places, and add each run's length to its cell. Where labels are more like noise
// the pixels are counted one by one; their cells go through registers, because writing
// them to memory and reading them back in smaller pieces would wait for every one.
#include <cstring>

#include "common/threads.h"
#include "confusion_matrix/confusion_matrix.h"
#include "confusion_matrix/labels.h"

namespace fuseg::FUSEG_LEVEL {
namespace {

using namespace counting;

constexpr std::int64_t kTile = 2048;  // pixels
constexpr int kMostRuns = kTile / 3;  // of a tile; beyond it is noise

template <typename Label, int kTables>
class Counter {
 public:
  Counter(const ConfusionMatrix& job, int part)
      : cells_(job.classes, job.ignore),
        few_cells_(cells_.size() <= 1 << 16),
        some_cells_(job.classes, job.ignore),
        size_(cells_.size()),
        tables_(job.scratch + part * kTables * size_) {}

  void tile(const Label* truth, const Label* prediction) {
    // Noise seldom ends after a tile: a look at 64 pixels will do.
    if (noise_ && __builtin_popcountll(changes(truth + 1, prediction + 1)) > 64 / 3) {
      return each(truth, prediction, kTile);
    }
    noise_ = false;
    std::uint16_t starts[kMostRuns + 2 * 64];
    starts[0] = 0;
    int runs = 1;
    // Pixel 0 starts a run anyway, and the last 63 are looked at with the ones before.
    for (int at = 1; at < kTile; at += 64) {
      const int from = at < kTile - 64 ? at : static_cast<int>(kTile) - 64;
      const std::uint64_t seen = (std::uint64_t{1} << (at - from)) - 1;
      const std::uint64_t changed = changes(truth + from, prediction + from) & ~seen;
      runs += append(starts + runs, changed, from);
      if (runs > kMostRuns) {
        noise_ = true;
        return each(truth, prediction, kTile);
      }
    }
    starts[runs] = kTile;
    const ConfusionCells cells = cells_;  // a copy that the counting cannot change
    const auto add = [&](int run, int turn) {
      const int start = starts[run];
      table(turn)[cells.of(truth[start], prediction[start])] +=
          static_cast<std::uint32_t>(starts[run + 1] - start);
    };
    int i = 0;
    for (; i + 4 <= runs; i += 4) {
      for (int turn = 0; turn < 4; ++turn) add(i + turn, turn);
    }
    for (; i < runs; ++i) add(i, 0);
  }

  void each(const Label* truth, const Label* prediction, std::int64_t count) {
    std::int64_t i = 0;
    if (few_cells_) {
      for (; i + kSome <= count; i += kSome) {
        some_cells_.of(truth + i, prediction + i,
                       [&](int k, std::uint64_t cell) { ++table(k)[cell]; });
      }
    }
    for (; i < count; ++i)
      ++table(static_cast<int>(i))[cells_.of(truth[i], prediction[i])];
  }

 private:
  std::uint32_t* table(int turn) const { return tables_ + turn % kTables * size_; }

  ConfusionCells cells_;
  bool few_cells_;  // so that their numbers fit 16 bits
  SomeCells some_cells_;
  std::int64_t size_;
  std::uint32_t* tables_;
  bool noise_ = false;
};

template <typename Label, int kTables>
void count(const ConfusionMatrix& job) {
  const auto* truth = static_cast<const Label*>(job.truth);
  const auto* prediction = static_cast<const Label*>(job.prediction);
  in_bands(job.pixels, job.threads, kTile,
           [&](int part, std::int64_t first, std::int64_t end) {
             Counter<Label, kTables> counter(job, part);
             std::int64_t i = first;
             for (; i + kTile <= end; i += kTile) {
               counter.tile(truth + i, prediction + i);
             }
             counter.each(truth + i, prediction + i, end - i);
           });
}

}  // namespace

Outside confusion_matrix_simd(const ConfusionMatrix& job) {
  std::memset(
      job.scratch, 0,
      static_cast<std::size_t>(confusion_matrix_scratch(job.classes, job.threads)) *
          sizeof *job.scratch);
  const bool bytes = job.label_bytes == 1;
  if (confusion_matrix_tables(job.classes) == 4) {
    bytes ? count<std::uint8_t, 4>(job) : count<std::uint16_t, 4>(job);
  } else {
    bytes ? count<std::uint8_t, 1>(job) : count<std::uint16_t, 1>(job);
  }
  return settle(job);
}

}  // namespace fuseg::FUSEG_LEVEL
