#include "cuda/bind_cuda.h"
#include "overlay/overlay.h"

namespace fuseg {

void bind_overlay_cuda(py::module_& m) {
  m.def(
      "overlay_cuda",
      [](Address labels, std::int64_t height, std::int64_t width,
         const HostArray<std::uint8_t>& palette, Address frame, std::int64_t row_bytes,
         int alpha, int ignore, Address out, Address stream) {
        Overlay job{};
        job.labels = at<std::uint8_t>(labels);
        job.height = height;
        job.width = width;
        job.palette = palette.data();
        job.colours = static_cast<int>(palette.shape(0));
        job.frame = at<std::uint8_t>(frame);
        job.row_bytes = row_bytes;
        job.alpha = alpha;
        job.ignore = ignore;
        job.out = at<std::uint8_t>(out);
        const OnDeviceOf device(out);
        overlay_cuda(job, at<CUstream_st>(stream));
      },
      "labels"_a, "height"_a, "width"_a, "palette"_a.noconvert(), "frame"_a,
      "row_bytes"_a, "alpha"_a, "ignore"_a, "out"_a, "stream"_a);
}

}  // namespace fuseg
