// Work cut into bands of rows, one thread each.
//
// Threads start with the call and end with it. That costs about 20 us each, which the
// caller asked for by asking for more than one; in exchange nothing spins beside the
// engine's own threads, nothing breaks after a fork, and no runtime library is needed.
#pragma once

#include <algorithm>
#include <cstdint>
#include <system_error>
#include <thread>

namespace fuseg {

constexpr int kMostThreads = 64;

// Calls `body(part, first, end)` for `parts` bands that together are [0, rows); the
// calling thread does the first. `body` must not throw. Bands begin at multiples of
// `grain`; some may be empty, and are not called.
template <typename Body>
void in_bands(std::int64_t rows, int parts, std::int64_t grain, const Body& body) {
  parts = std::clamp(parts, 1, kMostThreads);
  const std::int64_t grains = (rows + grain - 1) / grain;
  const auto start = [&](int part) {
    return std::min(rows, grains * part / parts * grain);
  };
  const auto run = [&](int part) {
    if (start(part) < start(part + 1)) body(part, start(part), start(part + 1));
  };
  std::thread others[kMostThreads];
  int started = 1;
  try {
    for (; started < parts; ++started) others[started] = std::thread(run, started);
  } catch (const std::system_error&) {  // no more threads: the caller does the rest
  }
  run(0);
  for (int part = started; part < parts; ++part) run(part);
  for (int part = 1; part < started; ++part) others[part].join();
}

}  // namespace fuseg
