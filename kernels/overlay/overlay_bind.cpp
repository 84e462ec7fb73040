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
         int threads, HostArray<std::uint8_t>& out) {
        const Overlay job{labels.data(),
                          palette.data(),
                          frame ? frame->data() : nullptr,
                          out.mutable_data(),
                          frame ? frame->strides(0) : 0,
                          labels.shape(0),
                          labels.shape(1),
                          static_cast<int>(palette.shape(0)),
                          alpha,
                          ignore,
                          threads};
        const WithoutGil nogil;
        return FUSEG_PICK(overlay)(job);
      },
      "labels"_a.noconvert(), "palette"_a.noconvert(), "frame"_a.noconvert(), "alpha"_a,
      "ignore"_a, "threads"_a, "out"_a.noconvert());
}

}  // namespace fuseg
