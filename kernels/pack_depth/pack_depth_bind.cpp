#include "common/bind.h"
#include "pack_depth/pack_depth.h"

namespace fuseg {
namespace {

// Shapes, dtypes and strides were checked, with proper sentences, by
// fuseg.ops.pack_depth; here a mismatch is a bug of ours, not of the user's.
template <typename T>
void bind_for(py::module_& m) {
  m.def(
      "pack_depth_cpu",
      [](const RowsArray<T>& frame, HostArray<float>& out, float multiply, float add,
         const HostArray<float>& invalid, float fill, int filter,
         HostArray<std::uint8_t>& scratch) {
        const T* in = frame.data();
        const std::int64_t height = frame.shape(0), width = frame.shape(1);
        const std::ptrdiff_t row_bytes = frame.strides(0);
        float* plane = out.mutable_data();
        const std::int64_t out_height = out.shape(0), out_width = out.shape(1);
        const float* none = invalid.data();
        const int none_count = static_cast<int>(invalid.size());
        std::uint8_t* memory = scratch.mutable_data();
        py::gil_scoped_release nogil;
        return pack_depth_cpu(in, height, width, row_bytes, plane, out_height,
                              out_width, multiply, add, none, none_count, fill,
                              static_cast<Filter>(filter), memory);
      },
      "frame"_a.noconvert(), "out"_a.noconvert(), "multiply"_a, "add"_a,
      "invalid"_a.noconvert(), "fill"_a, "filter"_a, "scratch"_a.noconvert());
  m.def(
      "has_reading_cpu",
      [](const RowsArray<T>& frame, std::int64_t out_height, std::int64_t out_width,
         const HostArray<float>& invalid, int filter) {
        const T* in = frame.data();
        const std::int64_t height = frame.shape(0), width = frame.shape(1);
        const std::ptrdiff_t row_bytes = frame.strides(0);
        const float* none = invalid.data();
        const int none_count = static_cast<int>(invalid.size());
        py::gil_scoped_release nogil;
        return has_reading_cpu(in, height, width, row_bytes, out_height, out_width,
                               none, none_count, static_cast<Filter>(filter));
      },
      "frame"_a.noconvert(), "out_height"_a, "out_width"_a, "invalid"_a.noconvert(),
      "filter"_a);
}

}  // namespace

void bind_pack_depth(py::module_& m) {
  m.def("pack_depth_scratch_bytes", &pack_depth_scratch_bytes, "out_width"_a);
  bind_for<std::uint8_t>(m);
  bind_for<std::uint16_t>(m);
  bind_for<float>(m);
}

}  // namespace fuseg
