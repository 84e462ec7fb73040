#include <array>
#include <vector>

#include "common/bind.h"
#include "pack_color/pack_color.h"

namespace fuseg {
namespace {

// Settings, tables and scratch for frames of one shape; one thread at a time uses it.
class ColorPlan {
 public:
  ColorPlan(const std::array<std::int64_t, 11>& placement, int pixel_bytes,
            const std::array<int, 3>& channel, int filter,
            const std::array<float, 3>& multiply, const std::array<float, 3>& add,
            float fill, int element, int threads)
      : job_{} {
    job_.geometry = geometry_from(placement);
    job_.pixel_bytes = pixel_bytes;
    job_.filter = static_cast<Filter>(filter);
    for (int p = 0; p < 3; ++p) {
      job_.channel[p] = channel[p];
      job_.multiply[p] = multiply[p];
      job_.add[p] = add[p];
    }
    job_.fill = fill;
    job_.element = static_cast<PackColor::Element>(element);
    job_.threads = threads;
    tables_.resize(pack_color_tables_bytes(job_));
    scratch_.resize(pack_color_scratch_bytes(job_));
    pack_color_tables(job_, tables_.data());
  }

  void pack(const RowsArray<std::uint8_t>& frame, py::array& out) {
    PackColor job = job_;
    job.frame = frame.data();
    job.row_bytes = frame.strides(0);
    job.out = out.mutable_data();
    job.tables = tables_.data();
    job.scratch = scratch_.data();
    py::gil_scoped_release nogil;
    FUSEG_PICK(pack_color)(job);
  }

 private:
  PackColor job_;
  std::vector<std::uint8_t> tables_;
  std::vector<std::uint8_t> scratch_;
};

}  // namespace

// Shapes, dtypes and strides were checked, with proper sentences, by
// fuseg.ops.pack_color; here a mismatch is a bug of ours, not of the user's.
void bind_pack_color(py::module_& m) {
  py::class_<ColorPlan>(m, "ColorPlan")
      .def(py::init<const std::array<std::int64_t, 11>&, int, const std::array<int, 3>&,
                    int, const std::array<float, 3>&, const std::array<float, 3>&,
                    float, int, int>(),
           "placement"_a, "pixel_bytes"_a, "channel"_a, "filter"_a, "multiply"_a,
           "add"_a, "fill"_a, "element"_a, "threads"_a)
      .def("pack", &ColorPlan::pack, "frame"_a.noconvert(), "out"_a.noconvert());
}

}  // namespace fuseg
