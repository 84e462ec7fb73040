#include <array>
#include <memory>
#include <optional>

#include "common/bind.h"
#include "upsample_argmax/upsample_argmax.h"

namespace fuseg {
namespace {

// The job without its arrays, and the memory that it works in.
class Plan {
 public:
  using Shape = std::array<std::int64_t, 4>;
  using Fractions = std::array<std::int64_t, 3>;  // of common/resample.h's Line

  Plan(const Shape& shape, bool half, const std::array<std::int64_t, 2>& size,
       const Fractions& rows, const Fractions& columns, int threads)
      : job_{} {
    job_.half = half;
    job_.images = shape[0];
    job_.classes = shape[1];
    job_.height = shape[2];
    job_.width = shape[3];
    job_.out_height = size[0];
    job_.out_width = size[1];
    job_.rows = {rows[0], rows[1], rows[2]};
    job_.columns = {columns[0], columns[1], columns[2]};
    job_.threads = threads;
    Scratch measure(nullptr);
    cut(measure);
    const std::int64_t tables = measure.bytes();
    const std::int64_t bytes = tables + upsample_argmax_scratch_bytes(job_);
    memory_ = std::make_unique<std::uint8_t[]>(static_cast<std::size_t>(bytes));
    Scratch memory(memory_.get());
    cut(memory);
    lay_taps(job_.rows, job_.row_taps);
    lay_taps(job_.columns, job_.column_taps);
    job_.scratch = memory_.get() + tables;
  }

  void run(const py::array& scores, py::array& labels,
           std::optional<HostArray<float>> confidence) const {
    UpsampleArgmax job = job_;
    job.scores = scores.data();
    job.labels = labels.mutable_data();
    job.confidence = confidence ? confidence->mutable_data() : nullptr;
    py::gil_scoped_release nogil;
    FUSEG_PICK(upsample_argmax)(job);
  }

 private:
  void cut(Scratch& scratch) {
    job_.row_taps = cut_taps(scratch, job_.height, job_.out_height);
    job_.column_taps = cut_taps(scratch, job_.width, job_.out_width);
  }

  UpsampleArgmax job_;
  std::unique_ptr<std::uint8_t[]> memory_;
};

}  // namespace

// Shapes, dtypes and strides were checked, with proper sentences, by
// fuseg.ops.upsample_argmax; here a mismatch is a bug of ours, not of the user's.
void bind_upsample_argmax(py::module_& m) {
  py::class_<Plan>(m, "UpsampleArgmaxPlan")
      .def(py::init<const Plan::Shape&, bool, const std::array<std::int64_t, 2>&,
                    const Plan::Fractions&, const Plan::Fractions&, int>(),
           "shape"_a, "half"_a, "size"_a, "rows"_a, "columns"_a, "threads"_a)
      .def("run", &Plan::run, "scores"_a.noconvert(), "labels"_a.noconvert(),
           "confidence"_a.noconvert() = py::none());
}

}  // namespace fuseg
