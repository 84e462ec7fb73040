// The GPU's taps beside the CPU's, for test_weighted_tap.py.
#include <cstdlib>
#include <cstring>

#include "cuda/weighted_tap.cuh"

namespace {

std::int64_t steps_between(float a, double exact) {
  const auto b = static_cast<float>(exact);
  std::int32_t bits[2];
  std::memcpy(&bits[0], &a, sizeof a);
  std::memcpy(&bits[1], &b, sizeof b);
  return std::llabs(std::int64_t{bits[0]} - bits[1]);
}

}  // namespace

// Of `count` positions on an axis over `in` samples: how many have another tap than on
// the CPU; -1 if one is off by more than its last bit.
extern "C" [[gnu::visibility("default")]] std::int64_t different_taps(
    std::int64_t first, std::int64_t step, std::int64_t unit, std::int64_t in,
    std::int64_t count) {
  const fuseg::AffineAxis axis{first, step, unit};
  std::int64_t different = 0;
  for (std::int64_t i = 0; i < count; ++i) {
    const fuseg::WeightedTap tap = fuseg::weighted_tap(axis, i, in, 3);
    const fuseg::Tap exact = axis.tap(i, in);
    const std::int64_t off = steps_between(tap.first, 1.0 - exact.fraction);
    if (tap.index + 3 != exact.index || off > 1 ||
        steps_between(tap.second, exact.fraction) != 0) {
      return -1;
    }
    different += off;
  }
  return different;
}
