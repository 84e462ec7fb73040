// Asks for the next row of a frame while this one is worked on. A frame fresh from a
// camera is seldom in the cache, and no processor guesses which rows a resize skips.
#pragma once

#include <cstdint>

namespace fuseg {

struct Ahead {
  const void* row;
  std::int64_t bytes;

  // Asks for the part of the row that `from` to `to` is of `whole`.
  void ask(std::int64_t from, std::int64_t to, std::int64_t whole) const {
    const std::int64_t end = bytes * to / whole;
    for (std::int64_t at = bytes * from / whole; at < end; at += 64) {
      __builtin_prefetch(static_cast<const char*>(row) + at);
    }
  }
};

}  // namespace fuseg
