#include <algorithm>
#include <utility>

#include "nms/nms.h"

namespace fuseg {

// By the bytes of the scores, the lowest first; each turn keeps the order of the one
// before it.
NmsRanks nms_rank(const Nms& job) {
  constexpr int kTurns = 4, kBytes = 256;
  std::int64_t counts[kTurns][kBytes] = {};
  std::int64_t count = 0;
  for (std::int64_t i = 0; i < job.candidates; ++i) {
    const std::uint64_t key = nms_key(job.scores[i], i);
    if (key == kNoCandidate) continue;
    job.keys[count++] = key;
    for (int turn = 0; turn < kTurns; ++turn) {
      ++counts[turn][key >> (32 + 8 * turn) & 0xff];
    }
  }
  std::uint64_t* from = job.keys;
  std::uint64_t* to = job.spare;
  for (int turn = 0; turn < kTurns; ++turn) {
    std::int64_t* places = counts[turn];
    if (std::find(places, places + kBytes, count) != places + kBytes) continue;
    std::int64_t place = 0;
    for (int byte = 0; byte < kBytes; ++byte) {
      place += std::exchange(places[byte], place);
    }
    for (std::int64_t i = 0; i < count; ++i) {
      to[places[from[i] >> (32 + 8 * turn) & 0xff]++] = from[i];
    }
    std::swap(from, to);
  }
  return {from, count};
}

std::int64_t nms_cpu(const Nms& job) {
  const NmsRanks ranks = nms_rank(job);
  std::int64_t stay = 0;
  for (std::int64_t rank = 0; rank < ranks.count && stay < job.most; ++rank) {
    const std::int32_t index = nms_index(ranks.keys[rank]);
    const NmsBox box = nms_box(job.boxes + std::int64_t{4} * index);
    const bool beaten =
        std::any_of(job.kept, job.kept + stay, [&](std::int32_t better) {
          return job.classes[better] == job.classes[index] &&
                 nms_overlap(nms_box(job.boxes + std::int64_t{4} * better), box,
                             job.iou_threshold);
        });
    if (!beaten) job.kept[stay++] = index;
  }
  std::fill(job.kept + stay, job.kept + job.most, -1);
  return stay;
}

}  // namespace fuseg
