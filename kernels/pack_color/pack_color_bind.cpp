#include <array>
#include <cstdint>
#include <vector>

#include "common/bind.h"
#include "pack_color/pack_color.h"

namespace fuseg {
namespace {

// A job whose settings were checked, with proper sentences, by fuseg.ops.pack_color,
// for frames of one shape; its tables and scratch. One thread at a time uses it.
class ColorPlan {
 public:
  ColorPlan(std::int64_t height, std::int64_t width,
            const std::array<std::int64_t, 11>& placement, int pixel_bytes,
            const std::array<int, 3>& channel, int filter,
            const std::array<float, 3>& multiply, const std::array<float, 3>& add,
            float fill, int element, py::dtype out, int threads,
            std::int64_t chw4_channel)
      : height_(height), width_(width), out_(out), chw4_channel_(chw4_channel), job_{} {
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
    const std::int64_t pixels = job_.geometry.out_height * job_.geometry.out_width;
    job_.planes = OutPlanes<3>::from(chw4_channel, pixels);
    tables_.resize(pack_color_tables_bytes(job_));
    scratch_.resize(pack_color_scratch_bytes(job_));
    pack_color_tables(job_, tables_.data());
  }

  // False, and nothing written, for arrays that the plan is not for.
  bool pack(py::handle frame, py::handle out) {
    const Geometry& g = job_.geometry;
    if (!takes(frame) ||
        !holds_planes(out, out_, {3, g.out_height, g.out_width}, chw4_channel_) ||
        meet(bytes_of(frame), bytes_of(out))) {
      return false;
    }
    const auto pixels = py::reinterpret_borrow<py::array>(frame);
    PackColor job = job_;
    job.frame = static_cast<const std::uint8_t*>(pixels.data());
    job.row_bytes = pixels.strides(0);
    job.out = memory_of(out);
    job.tables = tables_.data();
    job.scratch = scratch_.data();
    const WithoutGil nogil;
    FUSEG_PICK(pack_color)(job);
    return true;
  }

  bool takes(py::handle frame) const {
    const auto bytes = py::dtype::of<std::uint8_t>();
    return has_dense_rows(frame, bytes, {height_, width_, job_.pixel_bytes}) ||
           (job_.pixel_bytes == 1 && has_dense_rows(frame, bytes, {height_, width_}));
  }

 private:
  std::int64_t height_;
  std::int64_t width_;
  py::dtype out_;
  std::int64_t chw4_channel_;
  PackColor job_;
  std::vector<std::uint8_t> tables_;
  std::vector<std::uint8_t> scratch_;
};

}  // namespace

void bind_pack_color(py::module_& m) {
  py::class_<ColorPlan>(m, "ColorPlan")
      .def(py::init<std::int64_t, std::int64_t, const std::array<std::int64_t, 11>&,
                    int, const std::array<int, 3>&, int, const std::array<float, 3>&,
                    const std::array<float, 3>&, float, int, py::dtype, int,
                    std::int64_t>(),
           "height"_a, "width"_a, "placement"_a, "pixel_bytes"_a, "channel"_a,
           "filter"_a, "multiply"_a, "add"_a, "fill"_a, "element"_a, "out_dtype"_a,
           "threads"_a, "chw4_channel"_a)
      .def("pack", &ColorPlan::pack, "frame"_a, "out"_a)
      .def("takes", &ColorPlan::takes, "frame"_a);
}

}  // namespace fuseg
