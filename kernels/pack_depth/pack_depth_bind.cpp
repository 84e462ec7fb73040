#include <algorithm>
#include <array>
#include <cstdint>
#include <vector>

#include "common/kernel.h"
#include "pack_depth/pack_depth.h"

namespace fuseg {
namespace {

// For frames of one shape. One thread at a time uses it.
class PackDepthKernel : public KernelOf<PackDepth, PackDepthKernel> {
 public:
  PackDepthKernel(py::dtype frame, std::int64_t height, std::int64_t width,
                  const std::array<std::int64_t, 11>& placement, int filter,
                  const std::vector<float>& invalid, float below, float above,
                  float multiply, float add, float fill, py::dtype out,
                  std::int64_t chw4_channel, int threads) {
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
    const Geometry& g = job_.geometry;
    job_.planes = OutPlanes<1>::from(chw4_channel, g.out_height * g.out_width);

    input(job_.frame, frame, {height, width}).row_bytes = field(job_.row_bytes);
    output(job_.out, out, {g.out_height, g.out_width}).chw4_channel = chw4_channel;
    output(job_.valid, py::dtype("uint8"), {g.out_height, g.out_width}).optional = true;
    prepare();
  }

  // How many readings there are.
  std::int64_t call(PackDepth& job) {
    if (level_ != level()) prepare();
    job.memory = job_.memory;
    std::int64_t readings = 0;
    job.readings = &readings;
    FUSEG_PICK(pack_depth)(job);
    return readings;
  }

  // Whether a call would find any; None for a frame that does not fit.
  py::object has_reading(py::handle frame) const {
    if (!takes(frame)) return py::none();
    const auto array = py::reinterpret_borrow<py::array>(frame);
    PackDepth job = job_;
    job.frame = array.data();
    job.row_bytes = array.strides(0);
    bool found = false;
    {
      const WithoutGil nogil;
      found = has_reading_cpu(job);
    }
    return py::bool_(found);
  }

 private:
  void prepare() {
    level_ = level();
    const std::int64_t bytes = FUSEG_PICK(pack_depth_memory_bytes)(job_);
    memory_.resize(static_cast<std::size_t>(bytes));
    job_.memory = memory_.data();
    FUSEG_PICK(pack_depth_prepare)(job_);
  }

  Level level_;
  std::vector<std::uint8_t> memory_;
};

}  // namespace

void bind_pack_depth(py::module_& m) {
  bind_kernel<PackDepthKernel>(m, "PackDepth", "pack_depth")
      .def(py::init<py::dtype, std::int64_t, std::int64_t,
                    const std::array<std::int64_t, 11>&, int, const std::vector<float>&,
                    float, float, float, float, float, py::dtype, std::int64_t, int>(),
           "frame_dtype"_a, "height"_a, "width"_a, "placement"_a, "filter"_a,
           "invalid"_a, "below"_a, "above"_a, "multiply"_a, "add"_a, "fill"_a,
           "out_dtype"_a, "chw4_channel"_a, "threads"_a)
      .def("has_reading", &PackDepthKernel::has_reading, "frame"_a);
}

}  // namespace fuseg
