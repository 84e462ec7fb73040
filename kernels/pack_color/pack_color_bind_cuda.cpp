#include "cuda/bind_cuda.h"
#include "pack_color/pack_color.h"

namespace fuseg {

void bind_pack_color_cuda(py::module_& m) {
  m.def(
      "pack_color_cuda",
      [](Address frame, std::int64_t row_bytes,
         const std::array<std::int64_t, 11>& placement, int pixel_bytes,
         const std::array<int, 3>& channel, int filter,
         const std::array<float, 3>& multiply, const std::array<float, 3>& add,
         float fill, int element, Address out, std::int64_t chw4_channel,
         Address stream) {
        PackColor job{};
        job.frame = at<std::uint8_t>(frame);
        job.row_bytes = row_bytes;
        job.pixel_bytes = pixel_bytes;
        job.filter = static_cast<Filter>(filter);
        job.geometry = geometry_from(placement);
        for (int p = 0; p < 3; ++p) {
          job.channel[p] = channel[p];
          job.multiply[p] = multiply[p];
          job.add[p] = add[p];
        }
        job.fill = fill;
        job.element = static_cast<PackColor::Element>(element);
        job.out = at<void>(out);
        const std::int64_t pixels = job.geometry.out_height * job.geometry.out_width;
        job.planes = OutPlanes<3>::from(chw4_channel, pixels);
        const OnDeviceOf device(out);
        pack_color_cuda(job, at<CUstream_st>(stream));
      },
      "frame"_a, "row_bytes"_a, "placement"_a, "pixel_bytes"_a, "channel"_a, "filter"_a,
      "multiply"_a, "add"_a, "fill"_a, "element"_a, "out"_a, "chw4_channel"_a,
      "stream"_a);
}

}  // namespace fuseg
