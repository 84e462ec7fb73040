#include "common/kernel.h"
#include "threshold_mask/threshold_mask.h"

namespace fuseg {
namespace {

class ThresholdMaskKernel : public KernelOf<ThresholdMask, ThresholdMaskKernel> {
 public:
  ThresholdMaskKernel(std::int64_t height, std::int64_t width, float threshold) {
    job_.pixels = height * width;
    job_.threshold = threshold;
    input(job_.confidence, py::dtype("float32"), {height, width});
    output(job_.out, py::dtype("uint8"), {height, width});
  }

  bool call(const ThresholdMask& job) {
    FUSEG_PICK(threshold_mask)(job);
    return true;
  }
};

}  // namespace

void bind_threshold_mask(py::module_& m) {
  bind_kernel<ThresholdMaskKernel>(m, "ThresholdMask", "threshold_mask")
      .def(py::init<std::int64_t, std::int64_t, float>(), "height"_a, "width"_a,
           "threshold"_a);
}

}  // namespace fuseg
