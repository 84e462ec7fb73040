#include <pybind11/stl.h>

#include <optional>

#include "common/bind.h"
#include "overlay/overlay.h"

namespace fuseg {

// Shapes, dtypes and strides were checked, with proper sentences, by
// fuseg.ops.overlay; here a mismatch is a bug of ours, not of the user's.
void bind_overlay(py::module_& m) {
  m.def(
      "overlay_cpu",
      [](const HostArray<std::uint8_t>& labels, const HostArray<std::uint8_t>& palette,
         const std::optional<RowsArray<std::uint8_t>>& frame, int alpha, int ignore,
         HostArray<std::uint8_t>& out) {
        const std::uint8_t* in = labels.data();
        const std::int64_t height = labels.shape(0), width = labels.shape(1);
        const std::uint8_t* colours = palette.data();
        const int colour_count = static_cast<int>(palette.shape(0));
        const std::uint8_t* under = frame ? frame->data() : nullptr;
        const std::ptrdiff_t row_bytes = frame ? frame->strides(0) : 0;
        std::uint8_t* painted = out.mutable_data();
        py::gil_scoped_release nogil;
        return overlay_cpu(in, height, width, colours, colour_count, under, row_bytes,
                           alpha, ignore, painted);
      },
      "labels"_a.noconvert(), "palette"_a.noconvert(), "frame"_a.noconvert(), "alpha"_a,
      "ignore"_a, "out"_a.noconvert());
}

}  // namespace fuseg
