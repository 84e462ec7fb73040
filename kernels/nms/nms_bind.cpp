#include <vector>

#include "common/kernel.h"
#include "nms/nms.h"

namespace fuseg {
namespace {

class NmsKernel : public KernelOf<Nms, NmsKernel> {
 public:
  NmsKernel(float iou_threshold, std::int64_t max_candidates, std::int64_t max_boxes)
      : keys_(static_cast<std::size_t>(2 * max_candidates)),
        groups_(static_cast<std::size_t>(nms_groups(max_boxes))) {
    job_.iou_threshold = iou_threshold;
    job_.most = max_boxes;
    job_.keys = keys_.data();
    job_.spare = keys_.data() + max_candidates;
    job_.groups = groups_.data();

    const std::size_t rows = field(job_.candidates);
    const py::dtype floats("float32");
    input(job_.boxes, floats, {max_candidates, 4}).rows = rows;
    input(job_.scores, floats, {max_candidates}).rows = rows;
    input(job_.classes, py::dtype("int32"), {max_candidates}).rows = rows;
    output(job_.kept, py::dtype("int32"), {max_boxes});
  }

  std::int64_t call(const Nms& job) { return FUSEG_PICK(nms)(job); }

 private:
  std::vector<std::uint64_t> keys_;
  std::vector<NmsGroup> groups_;
};

}  // namespace

void bind_nms(py::module_& m) {
  bind_kernel<NmsKernel>(m, "Nms", "nms")
      .def(py::init<float, std::int64_t, std::int64_t>(), "iou_threshold"_a,
           "max_candidates"_a, "max_boxes"_a);
}

}  // namespace fuseg
