// Work cut into bands of rows, one thread each.
#pragma once

#include <cstdint>

#include "common/scalar.h"

namespace fuseg {

constexpr int kMostThreads = 64;

// Calls `run(context, part)` for every part, each in a thread of its own; the calling
// thread does the first. `run` must not throw.
void run_parts(int parts, void (*run)(const void* context, int part),
               const void* context);

// Calls `body(part, first, end)` for `parts` bands that together are [0, rows); the
// calling thread does the first. `body` must not throw. Bands begin at multiples of
// `grain`; some may be empty, and are not called.
template <typename Body>
void in_bands(std::int64_t rows, int parts, std::int64_t grain, const Body& body) {
  parts = fuseg::min(fuseg::max(parts, 1), kMostThreads);
  const std::int64_t grains = (rows + grain - 1) / grain;
  const auto start = [&](int part) {
    return fuseg::min(rows, grains * part / parts * grain);
  };
  const auto band = [&](int part) {
    if (start(part) < start(part + 1)) body(part, start(part), start(part + 1));
  };
  using Band = decltype(band);
  const auto run = [](const void* context, int part) {
    (*static_cast<Band*>(context))(part);
  };
  run_parts(parts, run, &band);
}

}  // namespace fuseg
