// Which boxes stay where those of one class overlap: non-maximum suppression.
//
//   boxes    (N, 4)   float32  two opposite corners x, y, x, y; either may come first
//   scores   (N)      float32
//   classes  (N)      int32    any; only boxes of one class are compared
//   keys, spare, groups  memory to work in, on the CPU: N numbers in each of the first
//                        two, nms_groups(most) groups
//   kept     (most)   int32    indices of the boxes that stay, then -1
//
// Boxes are taken by score, of equal scores the lower index first, until `most` stay. A
// box stays unless it overlaps one of its class that stays by more than
// `iou_threshold`, 0 to 1: ONNX's NonMaxSuppression, its classes in one list. A score
// of NaN never stays; a box with a NaN, without an area or with one beyond float32
// overlaps none. Returns how many stay. CUDA, where nobody waits for an answer, only
// leaves it in `kept`.
#pragma once

#include <cstdint>
#include <cstring>

#include "common/host_device.h"
#include "simd/level.h"

struct CUstream_st;

namespace fuseg {

// Boxes that stay, as a vector takes them, whose classes have the same low bits.
struct NmsGroup {
  static constexpr int kMany = 16;  // a multiple of every level's kLanes
  static constexpr int kSets = 64;  // of classes
  float left[kMany], top[kMany], right[kMany], bottom[kMany], area[kMany];
  std::int32_t classes[kMany];
  std::int32_t used;    // of kMany; behind them boxes without an area
  std::int32_t before;  // the group that was full when this one began; -1: none
};

constexpr std::int64_t nms_groups(std::int64_t most) {
  return most / NmsGroup::kMany + NmsGroup::kSets;
}

struct Nms {
  const float* boxes;
  const float* scores;
  const std::int32_t* classes;
  std::int64_t candidates;  // N, below 2^31
  float iou_threshold;
  std::int64_t most;
  std::uint64_t* keys;
  std::uint64_t* spare;
  NmsGroup* groups;
  std::int32_t* kept;
};

struct NmsBox {
  float left, top, right, bottom, area;
};

// `b` where either is NaN, as vectors have it; see simd/README.md.
FUSEG_BOTH inline float nms_min(float a, float b) { return a < b ? a : b; }
FUSEG_BOTH inline float nms_max(float a, float b) { return a > b ? a : b; }

FUSEG_BOTH inline NmsBox nms_box(const float* corners) {
  const float left = nms_min(corners[0], corners[2]);
  const float top = nms_min(corners[1], corners[3]);
  const float right = nms_max(corners[0], corners[2]);
  const float bottom = nms_max(corners[1], corners[3]);
  return {left, top, right, bottom, (right - left) * (bottom - top)};
}

// Whether the area that two boxes share is more of their union than the threshold. Each
// step is rounded to float32, as in ONNX Runtime.
FUSEG_BOTH inline bool nms_overlap(const NmsBox& a, const NmsBox& b, float threshold) {
  const float wide = nms_min(a.right, b.right) - nms_max(a.left, b.left);
  const float high = nms_min(a.bottom, b.bottom) - nms_max(a.top, b.top);
  const float shared = nms_max(wide, 0.0f) * nms_max(high, 0.0f);
  return shared / (a.area + b.area - shared) > threshold;
}

// The highest score has the lowest key, of equal scores the lowest index; the index is
// its lower half. kNoCandidate where the score is NaN.
constexpr std::uint64_t kNoCandidate = ~std::uint64_t{0};

FUSEG_BOTH inline std::uint64_t nms_key(float score, std::int64_t index) {
  if (score != score) return kNoCandidate;
  std::uint32_t bits;
  std::memcpy(&bits, &score, sizeof bits);
  if (bits == 0x80000000u) bits = 0;  // -0 equals 0
  const std::uint32_t order = bits >> 31 ? bits : bits ^ 0x7fffffffu;
  return std::uint64_t{order} << 32 | static_cast<std::uint32_t>(index);
}

FUSEG_BOTH inline std::int32_t nms_index(std::uint64_t key) {
  return static_cast<std::int32_t>(key & 0xffffffffu);
}

// The keys of the candidates that have a score, the best first, in one of the two.
struct NmsRanks {
  const std::uint64_t* keys;
  std::int64_t count;
};
NmsRanks nms_rank(const Nms& job);

std::int64_t nms_cpu(const Nms& job);
FUSEG_SIMD(std::int64_t nms_simd(const Nms& job))
void nms_cuda(const Nms& job, CUstream_st* stream);

}  // namespace fuseg
