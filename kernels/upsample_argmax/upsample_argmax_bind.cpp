#include <pybind11/stl.h>

#include <optional>

#include "common/bind.h"
#include "upsample_argmax/upsample_argmax.h"

namespace fuseg {

// Shapes, dtypes and strides were checked, with proper sentences, by
// fuseg.ops.upsample_argmax; here a mismatch is a bug of ours, not of the user's.
void bind_upsample_argmax(py::module_& m) {
  m.def("upsample_argmax_scratch_bytes", &upsample_argmax_scratch_bytes, "classes"_a,
        "height"_a, "width"_a, "out_height"_a, "out_width"_a);
  m.def(
      "upsample_argmax_cpu",
      [](const HostArray<float>& scores, HostArray<std::uint8_t>& labels,
         std::optional<HostArray<float>> confidence, bool align_corners,
         HostArray<std::uint8_t>& scratch) {
        const float* in = scores.data();
        const int classes = static_cast<int>(scores.shape(0));
        const std::int64_t height = scores.shape(1), width = scores.shape(2);
        std::uint8_t* out = labels.mutable_data();
        const std::int64_t out_height = labels.shape(0), out_width = labels.shape(1);
        float* sure = confidence ? confidence->mutable_data() : nullptr;
        std::uint8_t* memory = scratch.mutable_data();
        py::gil_scoped_release nogil;
        upsample_argmax_cpu(in, classes, height, width, out, sure, out_height,
                            out_width, align_corners, memory);
      },
      "scores"_a.noconvert(), "labels"_a.noconvert(), "confidence"_a.noconvert(),
      "align_corners"_a, "scratch"_a.noconvert());
}

}  // namespace fuseg
