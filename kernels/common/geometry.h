// Which part of a frame is read, how it is turned, and which part of the output it
// fills.
#pragma once

#include <cstdint>

#include "common/host_device.h"
#include "common/resample.h"

namespace fuseg {

// One axis of the output's picture: position i of it lies among `in` pixels of the
// turned frame, and turned pixel k is the frame's pixel `origin` + k * `step`.
struct AxisMap {
  std::int64_t in;
  std::int64_t out;
  std::int64_t origin;
  std::int64_t step;  // 1 or -1

  FUSEG_BOTH std::int64_t frame(std::int64_t turned) const {
    return origin + turned * step;
  }

  // The frame's pixel that position i reads (nearest filters), or the two it lies
  // between, in the frame's order whichever way the axis runs.
  FUSEG_BOTH Tap tap(std::int64_t i, Filter filter) const {
    if (filter == Filter::kNearest || filter == Filter::kNearestExact) {
      return {frame(nearest_tap(i, in, out, filter)), 0.0};
    }
    const Tap turned = linear_tap(i, in, out);
    if (step > 0 || turned.fraction == 0) return {frame(turned.index), turned.fraction};
    return {frame(turned.index + 1), 1 - turned.fraction};
  }
};

struct Geometry {
  // The part of the frame that is read; nothing beyond its edge is.
  std::int64_t top;
  std::int64_t left;
  std::int64_t height;
  std::int64_t width;
  int quarter_turns;  // clockwise, 0 to 3, before resizing
  // The output, and the part of it that is the picture; the rest is filled.
  std::int64_t out_height;
  std::int64_t out_width;
  std::int64_t picture_top;
  std::int64_t picture_left;
  std::int64_t picture_height;
  std::int64_t picture_width;

  // Whether the output's rows are the frame's columns.
  FUSEG_BOTH bool transposed() const { return quarter_turns % 2 == 1; }

  // Turned clockwise once, row y of the frame is column height - 1 - y.
  FUSEG_BOTH AxisMap rows() const {
    const bool back = quarter_turns == 2 || quarter_turns == 3;
    return transposed() ? side(left, width, picture_height, back)
                        : side(top, height, picture_height, back);
  }
  FUSEG_BOTH AxisMap columns() const {
    const bool back = quarter_turns == 1 || quarter_turns == 2;
    return transposed() ? side(top, height, picture_width, back)
                        : side(left, width, picture_width, back);
  }

 private:
  FUSEG_BOTH static AxisMap side(std::int64_t first, std::int64_t in, std::int64_t out,
                                 bool back) {
    return {in, out, back ? first + in - 1 : first, back ? -1 : 1};
  }
};

}  // namespace fuseg
