#include <pybind11/stl.h>

#include <array>

#include "common/bind.h"
#include "pack_color/pack_color.h"

namespace fuseg {

// Shapes, dtypes and strides were checked, with proper sentences, by
// fuseg.ops.pack_color; here a mismatch is a bug of ours, not of the user's.
void bind_pack_color(py::module_& m) {
  m.def("pack_color_scratch_bytes", &pack_color_scratch_bytes, "width"_a,
        "out_width"_a);
  m.def(
      "pack_color_cpu",
      [](const RowsArray<std::uint8_t>& frame, HostArray<float>& out,
         const std::array<float, 3>& multiply, const std::array<float, 3>& add,
         bool swap, int filter, HostArray<std::uint8_t>& scratch) {
        const std::uint8_t* in = frame.data();
        const std::int64_t height = frame.shape(0), width = frame.shape(1);
        const std::ptrdiff_t row_bytes = frame.strides(0);
        float* planes = out.mutable_data();
        const std::int64_t out_height = out.shape(1), out_width = out.shape(2);
        std::uint8_t* memory = scratch.mutable_data();
        py::gil_scoped_release nogil;
        pack_color_cpu(in, height, width, row_bytes, planes, out_height, out_width,
                       multiply.data(), add.data(), swap, static_cast<Filter>(filter),
                       memory);
      },
      "frame"_a.noconvert(), "out"_a.noconvert(), "multiply"_a, "add"_a, "swap"_a,
      "filter"_a, "scratch"_a.noconvert());
}

}  // namespace fuseg
