#include <array>
#include <memory>

#include "common/kernel.h"
#include "confusion_matrix/confusion_matrix.h"

namespace fuseg {
namespace {

class ConfusionMatrixKernel : public KernelOf<ConfusionMatrix, ConfusionMatrixKernel> {
 public:
  ConfusionMatrixKernel(const Shape& shape, py::dtype dtype, int classes, int ignore,
                        int threads) {
    job_.label_bytes = static_cast<int>(dtype.itemsize());
    job_.pixels = 1;
    for (const std::int64_t size : shape) job_.pixels *= size;
    job_.classes = classes;
    job_.ignore = ignore;
    job_.threads = threads;
    const std::int64_t cells = confusion_matrix_scratch(classes, threads);
    scratch_.reset(new std::uint32_t[static_cast<std::size_t>(cells)]);
    job_.scratch = scratch_.get();

    input(job_.truth, dtype, shape);
    input(job_.prediction, dtype, shape);
    output(job_.counts, py::dtype("int64"), {classes, classes});
  }

  // The largest labels outside, of the truth and of the prediction; -1: none is.
  std::array<int, 2> call(const ConfusionMatrix& job) {
    const Outside outside = FUSEG_PICK(confusion_matrix)(job);
    return {outside.truth, outside.prediction};
  }
  int ignore() const { return job_.ignore; }

 private:
  std::unique_ptr<std::uint32_t[]> scratch_;
};

}  // namespace

void bind_confusion_matrix(py::module_& m) {
  bind_kernel<ConfusionMatrixKernel>(m, "ConfusionMatrix", "confusion_matrix")
      .def(py::init<const Shape&, py::dtype, int, int, int>(), "shape"_a, "dtype"_a,
           "classes"_a, "ignore"_a, "threads"_a)
      .def_property_readonly("ignore", &ConfusionMatrixKernel::ignore);
}

}  // namespace fuseg
