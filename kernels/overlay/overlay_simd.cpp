// A first pass looks for the largest label, at the speed of memory; only then is
// anything written. A second one blends, kPixels at a time.
#include <cstring>

#include "common/threads.h"
#include "overlay/overlay.h"
#include "overlay/pixels.h"

namespace fuseg::FUSEG_LEVEL {
namespace {

using namespace blending;

constexpr std::int64_t kGrain = 4096;  // pixels; a multiple of every kPixels

int largest_byte(Labels labels) {
  std::uint8_t bytes[kPixels];
  store_labels(bytes, labels);
  int largest = 0;
  for (const int byte : bytes) largest = byte > largest ? byte : largest;
  return largest;
}

int largest_label(const std::uint8_t* labels, std::int64_t count, int ignore) {
  const Labels ignored =
      all_labels(ignore < 0 ? 0 : ignore);  // 0 cannot be the largest
  const auto counted = [&](const std::uint8_t* from) {
    const Labels read = load_labels(from);
    return without(read, same(read, ignored));
  };
  Labels first = all_labels(0), second = first, third = first, fourth = first;
  std::int64_t i = 0;
  for (; i + 4 * kPixels <= count; i += 4 * kPixels) {
    first = larger(first, counted(labels + i));
    second = larger(second, counted(labels + i + kPixels));
    third = larger(third, counted(labels + i + 2 * kPixels));
    fourth = larger(fourth, counted(labels + i + 3 * kPixels));
  }
  int largest = largest_byte(larger(larger(first, second), larger(third, fourth)));
  for (; i < count; ++i) {
    if (labels[i] != ignore && labels[i] > largest) largest = labels[i];
  }
  return largest;
}

// A mode: what a pixel becomes, given the frame's and the label's colour.
struct Cover {
  static constexpr bool kReadsFrame = false;
  Pixels operator()(const Pixels&, const Pixels& colour) const { return colour; }
};
struct Average {
  static constexpr bool kReadsFrame = true;
  Pixels operator()(const Pixels& frame, const Pixels& colour) const {
    return average(frame, colour);
  }
};
struct Mix : Blend {
  static constexpr bool kReadsFrame = true;
  using Blend::Blend;
};

template <bool kIgnores, class Palette, class Mode>
class RowBlender {
 public:
  RowBlender(const Palette& palette, const Mode& mode, int ignore)
      : palette_(palette), mode_(mode), ignored_(all_labels(ignore)) {}

  // `frame` may be null where the mode reads none.
  void blend(const std::uint8_t* labels, const std::uint8_t* frame, std::uint8_t* out,
             std::int64_t count) const {
    // Copies of which the compiler knows that writing to `out` leaves them alone.
    const Palette palette = palette_;
    const Mode mode = mode_;
    const Labels ignored = ignored_;
    std::int64_t x = 0;
    for (; x + kPixels <= count; x += kPixels) {
      const Labels read = load_labels(labels + x);
      if (kIgnores && any(same(read, ignored))) {
        some(labels + x, frame ? frame + 3 * x : nullptr, out + 3 * x);
        continue;
      }
      Pixels picture = palette.of(read);
      if (Mode::kReadsFrame) picture = mode(load_pixels(frame + 3 * x), picture);
      store_pixels(out + 3 * x, picture);
    }
    if (x == count) return;
    if (count < kPixels) return few(labels, frame, out, count);
    x = count - kPixels;  // some of them again
    some(labels + x, frame ? frame + 3 * x : nullptr, out + 3 * x);
  }

 private:
  // kPixels of them, and some may be ignored. Apart, so that the loop above keeps its
  // registers.
  [[gnu::noinline]] void some(const std::uint8_t* labels, const std::uint8_t* frame,
                              std::uint8_t* out) const {
    const Labels read = load_labels(labels);
    const Pixels under = frame ? load_pixels(frame) : black();
    Pixels picture = mode_(under, palette_.of(read));
    if (kIgnores) picture = select(thrice(same(read, ignored_)), under, picture);
    store_pixels(out, picture);
  }

  void few(const std::uint8_t* labels, const std::uint8_t* frame, std::uint8_t* out,
           std::int64_t count) const {
    const auto bytes = static_cast<std::size_t>(count);
    std::uint8_t read[kPixels] = {}, under[3 * kPixels] = {}, picture[3 * kPixels];
    std::memcpy(read, labels, bytes);
    if (frame) std::memcpy(under, frame, 3 * bytes);
    some(read, under, picture);
    std::memcpy(out, picture, 3 * bytes);
  }

  Palette palette_;
  Mode mode_;
  Labels ignored_;
};

// Rows that follow each other in memory are one.
template <class Row>
void for_rows(const Overlay& job, const Row& row) {
  const auto at_pixel = [&](const std::uint8_t* frame, std::int64_t at,
                            std::int64_t count) {
    row(job.labels + at, frame, job.out + 3 * at, count);
  };
  if (job.frame == nullptr || job.row_bytes == 3 * job.width) {
    in_bands(job.height * job.width, job.threads, kGrain,
             [&](int, std::int64_t first, std::int64_t end) {
               at_pixel(job.frame ? job.frame + 3 * first : nullptr, first,
                        end - first);
             });
    return;
  }
  in_bands(job.height, job.threads, 1, [&](int, std::int64_t first, std::int64_t end) {
    for (std::int64_t y = first; y < end; ++y) {
      at_pixel(job.frame + y * job.row_bytes, y * job.width, job.width);
    }
  });
}

template <class Mode>
void blend_with(const Overlay& job, const Mode& mode) {
  with_colours(job.palette, job.colours, [&](const auto& palette) {
    const auto blended = [&](const auto& blender) {
      for_rows(job, [&](auto... row) { blender.blend(row...); });
    };
    using Palette = std::decay_t<decltype(palette)>;
    if (job.ignore < 0) {
      blended(RowBlender<false, Palette, Mode>(palette, mode, 0));
    } else {
      blended(RowBlender<true, Palette, Mode>(palette, mode, job.ignore));
    }
  });
}

}  // namespace

int overlay_simd(const Overlay& job) {
  const int largest = largest_label(job.labels, job.height * job.width, job.ignore);
  if (largest >= job.colours) return largest;
  if (job.frame == nullptr || job.alpha == 256) {
    blend_with(job, Cover());
  } else if (job.alpha == 128) {
    blend_with(job, Average());
  } else if (job.alpha == 0) {
    for_rows(job, [](const std::uint8_t*, const std::uint8_t* frame, std::uint8_t* out,
                     std::int64_t count) {
      std::memcpy(out, frame, 3 * static_cast<std::size_t>(count));
    });
  } else {
    blend_with(job, Mix(job.alpha));
  }
  return largest;
}

}  // namespace fuseg::FUSEG_LEVEL
