#include "common/bind.h"
#include "confusion_matrix/confusion_matrix.h"

namespace fuseg {
namespace {

template <typename Label>
void bind_for(py::module_& m) {
  m.def(
      "confusion_matrix_cpu",
      [](const HostArray<Label>& truth, const HostArray<Label>& prediction, int ignore,
         int threads, HostArray<std::uint32_t>& scratch,
         HostArray<std::int64_t>& counts) {
        const ConfusionMatrix job{truth.data(),
                                  prediction.data(),
                                  static_cast<int>(sizeof(Label)),
                                  truth.size(),
                                  static_cast<int>(counts.shape(0)),
                                  ignore,
                                  threads,
                                  scratch.mutable_data(),
                                  counts.mutable_data()};
        const WithoutGil nogil;
        const Outside outside = FUSEG_PICK(confusion_matrix)(job);
        return std::array{outside.truth, outside.prediction};
      },
      "truth"_a.noconvert(), "prediction"_a.noconvert(), "ignore"_a, "threads"_a,
      "scratch"_a.noconvert(), "counts"_a.noconvert());
}

}  // namespace

// Shapes, dtypes and strides were checked, with proper sentences, by
// fuseg.ops.confusion_matrix; here a mismatch is a bug of ours, not of the user's.
void bind_confusion_matrix(py::module_& m) {
  m.def("confusion_matrix_scratch", &confusion_matrix_scratch, "classes"_a,
        "threads"_a);
  bind_for<std::uint8_t>(m);
  bind_for<std::uint16_t>(m);
}

}  // namespace fuseg
