#include <algorithm>
#include <array>
#include <cstdint>
#include <vector>

#include "common/bind.h"
#include "pack_depth/pack_depth.h"

namespace fuseg {
namespace {

// A job whose settings were checked, with proper sentences, by fuseg.ops.pack_depth,
// for frames of one shape; its tables and scratch.
class DepthPlan {
 public:
  DepthPlan(py::dtype frame, std::int64_t height, std::int64_t width,
            const std::array<std::int64_t, 11>& placement, int filter,
            const std::vector<float>& invalid, float below, float above, float multiply,
            float add, float fill, py::dtype out, int threads,
            std::int64_t chw4_channel)
      : in_(frame),
        height_(height),
        width_(width),
        out_(out),
        chw4_channel_(chw4_channel),
        job_() {
    job_.in = frame.itemsize() == 1   ? PackDepth::In::kUint8
              : frame.itemsize() == 2 ? PackDepth::In::kUint16
                                      : PackDepth::In::kFloat32;
    job_.out_type = out.itemsize() == 1   ? PackDepth::Out::kInt8
                    : out.itemsize() == 2 ? PackDepth::Out::kFloat16
                                          : PackDepth::Out::kFloat32;
    job_.geometry = geometry_from(placement);
    job_.filter = static_cast<Filter>(filter);
    job_.invalid_count = static_cast<int>(invalid.size());
    std::copy(invalid.begin(), invalid.end(), job_.invalid);
    job_.below = below;
    job_.above = above;
    job_.multiply = multiply;
    job_.add = add;
    job_.fill = fill;
    job_.threads = threads;
    const std::int64_t pixels = job_.geometry.out_height * job_.geometry.out_width;
    job_.planes = OutPlanes<1>::from(chw4_channel, pixels);
    prepare();
  }

  // How many readings there are, or -1 for arrays that the plan is not for.
  std::int64_t pack(py::handle frame, py::handle out, py::handle valid) {
    PackDepth job = job_;
    if (!set_frame(job, frame)) return -1;
    const Geometry& g = job.geometry;
    if (!holds_planes(out, out_, {g.out_height, g.out_width}, chw4_channel_) ||
        meet(bytes_of(frame), bytes_of(out))) {
      return -1;
    }
    job.out = memory_of(out);
    if (!valid.is_none()) {
      if (!is_writable(valid, py::dtype::of<std::uint8_t>(),
                       {g.out_height, g.out_width}) ||
          meet(bytes_of(frame), bytes_of(valid)) ||
          meet(bytes_of(out), bytes_of(valid))) {
        return -1;
      }
      job.valid = static_cast<std::uint8_t*>(memory_of(valid));
    }
    if (level_ != level()) prepare();
    job.memory = job_.memory;
    std::int64_t readings = 0;
    job.readings = &readings;
    const WithoutGil nogil;
    FUSEG_PICK(pack_depth)(job);
    return readings;
  }

  // 1 or 0, or -1 for a frame that the plan is not for.
  int has_reading(py::handle frame) const {
    PackDepth job = job_;
    if (!set_frame(job, frame)) return -1;
    const WithoutGil nogil;
    return has_reading_cpu(job);
  }

 private:
  bool set_frame(PackDepth& job, py::handle frame) const {
    if (!has_dense_rows(frame, in_, {height_, width_})) return false;
    const auto array = py::reinterpret_borrow<py::array>(frame);
    job.frame = array.data();
    job.row_bytes = array.strides(0);
    return true;
  }

  void prepare() {
    level_ = level();
    const std::int64_t bytes = FUSEG_PICK(pack_depth_memory_bytes)(job_);
    memory_.resize(static_cast<std::size_t>(bytes));
    job_.memory = memory_.data();
    FUSEG_PICK(pack_depth_prepare)(job_);
  }

  py::dtype in_;
  std::int64_t height_;
  std::int64_t width_;
  py::dtype out_;
  std::int64_t chw4_channel_;
  PackDepth job_;
  Level level_;
  std::vector<std::uint8_t> memory_;
};

}  // namespace

void bind_pack_depth(py::module_& m) {
  py::class_<DepthPlan>(m, "DepthPlan")
      .def(py::init<py::dtype, std::int64_t, std::int64_t,
                    const std::array<std::int64_t, 11>&, int, const std::vector<float>&,
                    float, float, float, float, float, py::dtype, int, std::int64_t>(),
           "frame_dtype"_a, "height"_a, "width"_a, "placement"_a, "filter"_a,
           "invalid"_a, "below"_a, "above"_a, "multiply"_a, "add"_a, "fill"_a,
           "out_dtype"_a, "threads"_a, "chw4_channel"_a)
      .def("pack", &DepthPlan::pack, "frame"_a, "out"_a, "valid"_a)
      .def("has_reading", &DepthPlan::has_reading, "frame"_a);
}

}  // namespace fuseg
