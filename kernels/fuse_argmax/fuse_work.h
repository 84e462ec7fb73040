// The memory that fuse_argmax works in, cut from the caller's block.
#pragma once

#include <cstdint>

#include "common/scratch.h"
#include "fuse_argmax/fuse_argmax.h"
#include "label/packed_row.h"

namespace fuseg {

// What one thread needs.
struct FuseWork {
  BandWork maps[kMostMaps];
  std::int32_t* candidates;  // (C)
  std::int32_t* mixed;       // (W)
};

// Missing readings of a map, (h, stride): not 0 where one is missing.
struct Missing {
  std::int32_t* rows;
  std::int64_t stride;
};

[[gnu::always_inline]] inline Missing cut_missing(Scratch& scratch,
                                                  const ScoreMap& map) {
  const std::int64_t stride = map.width + PackedRow::kSpare;
  return {scratch.take<std::int32_t>(map.height * stride), stride};
}

// Not inline: the copy of one instruction set must not serve the others.
FuseWork cut_fuse_work(Scratch& scratch, const FuseArgmax& job);

}  // namespace fuseg
