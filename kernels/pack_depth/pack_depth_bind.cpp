#include <algorithm>
#include <array>
#include <cstddef>
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
            const std::vector<float>& invalid, float multiply, float add, float fill,
            py::dtype out, int threads)
      : in_(frame), height_(height), width_(width), out_(out), job_() {
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
    job_.multiply = multiply;
    job_.add = add;
    job_.fill = fill;
    job_.threads = threads;
    prepare();
  }

  // How many readings there are, or -1, and nothing written, if the arrays are not what
  // the plan is for: Python then says why, or makes another plan.
  std::int64_t pack(py::handle frame, py::handle out, py::handle valid) {
    PackDepth job = job_;
    if (!set_frame(job, frame)) return -1;
    const Geometry& g = job.geometry;
    if (!writable(out, out_, g)) return -1;
    const auto plane = py::reinterpret_borrow<py::array>(out);
    if (overlap(job, out)) return -1;
    job.out = const_cast<void*>(plane.data());
    if (!valid.is_none()) {
      if (!writable(valid, py::dtype::of<std::uint8_t>(), g)) return -1;
      const auto flags = py::reinterpret_borrow<py::array>(valid);
      if (overlap(job, valid) || meet(span_of(out), span_of(valid))) return -1;
      job.valid = static_cast<std::uint8_t*>(const_cast<void*>(flags.data()));
    }
    if (level_ != level()) prepare();
    job.memory = job_.memory;
    std::int64_t readings = 0;
    job.readings = &readings;
    py::gil_scoped_release nogil;
    FUSEG_PICK(pack_depth)(job);
    return readings;
  }

  // 1 or 0, or -1 if the frame is not what the plan is for.
  int has_reading(py::handle frame) const {
    PackDepth job = job_;
    if (!set_frame(job, frame)) return -1;
    py::gil_scoped_release nogil;
    return has_reading_cpu(job);
  }

 private:
  struct Span {
    const char* first;
    const char* end;
  };

  // An unpickled dtype is equal, not the same.
  static bool same(const py::dtype& a, const py::dtype& b) {
    return a.is(b) || a.equal(b);
  }

  static bool meet(Span a, Span b) { return a.first < b.end && b.first < a.end; }

  static Span span_of(py::handle dense) {
    const auto array = py::reinterpret_borrow<py::array>(dense);
    const char* first = static_cast<const char*>(array.data());
    return {first, first + array.nbytes()};
  }

  bool overlap(const PackDepth& job, py::handle written) const {
    const char* row = static_cast<const char*>(job.frame);
    const std::ptrdiff_t last = (height_ - 1) * job.row_bytes;
    const std::ptrdiff_t row_end = width_ * in_.itemsize();
    const Span frame{row + std::min<std::ptrdiff_t>(last, 0),
                     row + std::max<std::ptrdiff_t>(last, 0) + row_end};
    return meet(frame, span_of(written));
  }

  bool set_frame(PackDepth& job, py::handle frame) const {
    if (!py::isinstance<py::array>(frame)) return false;
    const auto array = py::reinterpret_borrow<py::array>(frame);
    if (!same(array.dtype(), in_) || array.ndim() != 2 || array.shape(0) != height_ ||
        array.shape(1) != width_ || (array.flags() & kAligned) == 0 ||
        (width_ > 1 && array.strides(1) != in_.itemsize())) {
      return false;
    }
    job.frame = array.data();
    job.row_bytes = array.strides(0);
    return true;
  }

  static bool writable(py::handle out, const py::dtype& dtype, const Geometry& g) {
    if (!py::isinstance<py::array>(out)) return false;
    const auto array = py::reinterpret_borrow<py::array>(out);
    constexpr int kWanted = py::array::c_style | kAligned;
    return same(array.dtype(), dtype) && array.ndim() == 2 &&
           array.shape(0) == g.out_height && array.shape(1) == g.out_width &&
           (array.flags() & kWanted) == kWanted && array.writeable();
  }

  void prepare() {
    level_ = level();
    const std::int64_t bytes = FUSEG_PICK(pack_depth_memory_bytes)(job_);
    memory_.resize(static_cast<std::size_t>(bytes));
    job_.memory = memory_.data();
    FUSEG_PICK(pack_depth_prepare)(job_);
  }

  static constexpr int kAligned = py::detail::npy_api::NPY_ARRAY_ALIGNED_;

  py::dtype in_;
  std::int64_t height_;
  std::int64_t width_;
  py::dtype out_;
  PackDepth job_;
  Level level_;
  std::vector<std::uint8_t> memory_;
};

}  // namespace

void bind_pack_depth(py::module_& m) {
  py::class_<DepthPlan>(m, "DepthPlan")
      .def(py::init<py::dtype, std::int64_t, std::int64_t,
                    const std::array<std::int64_t, 11>&, int, const std::vector<float>&,
                    float, float, float, py::dtype, int>(),
           "frame_dtype"_a, "height"_a, "width"_a, "placement"_a, "filter"_a,
           "invalid"_a, "multiply"_a, "add"_a, "fill"_a, "out_dtype"_a, "threads"_a)
      .def("pack", &DepthPlan::pack, "frame"_a, "out"_a, "valid"_a)
      .def("has_reading", &DepthPlan::has_reading, "frame"_a);
}

}  // namespace fuseg
