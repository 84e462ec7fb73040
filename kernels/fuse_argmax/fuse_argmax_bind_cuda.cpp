#include <vector>

#include "cuda/bind_cuda.h"
#include "fuse_argmax/fuse_argmax.h"

namespace fuseg {

void bind_fuse_argmax_cuda(py::module_& m) {
  m.def(
      "fuse_argmax_cuda",
      [](const std::vector<Address>& scores, const std::vector<bool>& half,
         const std::vector<Address>& valid,
         const std::vector<std::array<std::int64_t, 2>>& grids,
         const HostArray<float>& weights, int mode, bool align_corners, int ignore,
         Address labels, Address confidence, Address source, std::int64_t out_height,
         std::int64_t out_width, Address stream) {
        FuseArgmax job{};
        job.count = static_cast<int>(scores.size());
        for (int i = 0; i < job.count && i < kMostMaps; ++i) {
          job.maps[i].scores = at<void>(scores[i]);
          job.maps[i].half = half[i];
          job.maps[i].valid = at<std::uint8_t>(valid[i]);
          job.maps[i].height = grids[i][0];
          job.maps[i].width = grids[i][1];
        }
        job.classes = static_cast<int>(weights.shape(1));
        job.mode = static_cast<FusionMode>(mode);
        job.align_corners = align_corners;
        job.weights = weights.data();
        job.labels = at<void>(labels);
        job.ignore = ignore;
        job.confidence = at<float>(confidence);
        job.source = at<std::uint8_t>(source);
        job.out_height = out_height;
        job.out_width = out_width;
        const OnDeviceOf device(labels);
        fuse_argmax_cuda(job, at<CUstream_st>(stream));
      },
      "scores"_a, "half"_a, "valid"_a, "grids"_a, "weights"_a.noconvert(), "how"_a,
      "align_corners"_a, "ignore"_a, "labels"_a, "confidence"_a, "source"_a,
      "out_height"_a, "out_width"_a, "stream"_a);
}

}  // namespace fuseg
