#include "common/threads.h"
#include "overlay/overlay.h"

namespace fuseg {
namespace {

void paint_row(const Overlay& job, std::int64_t y) {
  const std::uint8_t* labels = job.labels + y * job.width;
  const std::uint8_t* frame = job.frame ? job.frame + y * job.row_bytes : nullptr;
  std::uint8_t* out = job.out + 3 * y * job.width;
  for (std::int64_t x = 0; x < job.width; ++x) {
    const bool ignored = labels[x] == job.ignore;
    for (int c = 0; c < 3; ++c) {
      const std::uint8_t under = frame ? frame[3 * x + c] : std::uint8_t{0};
      if (ignored) {
        out[3 * x + c] = under;
        continue;
      }
      const std::uint8_t colour = job.palette[3 * labels[x] + c];
      out[3 * x + c] = frame ? mix(under, colour, job.alpha) : colour;
    }
  }
}

}  // namespace

int overlay_cpu(const Overlay& job) {
  int largest = 0;
  for (std::int64_t i = 0; i < job.height * job.width; ++i) {
    if (job.labels[i] != job.ignore && job.labels[i] > largest) largest = job.labels[i];
  }
  if (largest >= job.colours) return largest;
  in_bands(job.height, job.threads, 1, [&](int, std::int64_t first, std::int64_t end) {
    for (std::int64_t y = first; y < end; ++y) paint_row(job, y);
  });
  return largest;
}

}  // namespace fuseg
