#include <algorithm>
#include <vector>

#include "cuda/bind_cuda.h"
#include "pack_depth/pack_depth.h"

namespace fuseg {

void bind_pack_depth_cuda(py::module_& m) {
  m.def(
      "pack_depth_cuda",
      [](Address frame, int in, std::int64_t row_bytes,
         const std::array<std::int64_t, 11>& placement, int filter,
         const std::vector<float>& invalid, float below, float above, float multiply,
         float add, float fill, Address out, int out_type, Address valid,
         std::int64_t chw4_channel, Address stream) {
        PackDepth job{};
        job.frame = at<void>(frame);
        job.in = static_cast<PackDepth::In>(in);
        job.row_bytes = row_bytes;
        job.geometry = geometry_from(placement);
        job.filter = static_cast<Filter>(filter);
        job.invalid_count = static_cast<int>(
            std::min<std::size_t>(invalid.size(), PackDepth::kMostInvalid));
        std::copy_n(invalid.begin(), job.invalid_count, job.invalid);
        job.below = below;
        job.above = above;
        job.multiply = multiply;
        job.add = add;
        job.fill = fill;
        job.out = at<void>(out);
        const std::int64_t pixels = job.geometry.out_height * job.geometry.out_width;
        job.planes = OutPlanes<1>::from(chw4_channel, pixels);
        job.out_type = static_cast<PackDepth::Out>(out_type);
        job.valid = at<std::uint8_t>(valid);
        const OnDeviceOf device(out);
        pack_depth_cuda(job, at<CUstream_st>(stream));
      },
      "frame"_a, "in"_a, "row_bytes"_a, "placement"_a, "filter"_a, "invalid"_a,
      "below"_a, "above"_a, "multiply"_a, "add"_a, "fill"_a, "out"_a, "out_type"_a,
      "valid"_a, "chw4_channel"_a, "stream"_a);
}

}  // namespace fuseg
