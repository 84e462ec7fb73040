#include <array>
#include <cstdint>
#include <memory>

#include "common/bind.h"
#include "upsample_argmax/upsample_argmax.h"

namespace fuseg {
namespace {

// A job whose settings were checked, with proper sentences, by
// fuseg.ops.upsample_argmax, for scores of one shape, (C, h, w) or (N, C, h, w), or
// (h, w, pitch); its tables and scratch.
class Plan {
 public:
  using Fractions = std::array<std::int64_t, 3>;  // of common/resample.h's AffineAxis

  Plan(const Shape& shape, py::dtype dtype, const std::array<std::int64_t, 2>& size,
       const Fractions& rows, const Fractions& columns, int threads, std::int64_t pitch)
      : scores_(shape),
        scores_dtype_(dtype),
        labels_(shape.begin(), shape.end() - 3),
        job_{} {
    labels_.insert(labels_.end(), size.begin(), size.end());
    job_.half = dtype.itemsize() == 2;
    const auto last = shape.end();
    job_.images = shape.size() == 4 ? shape[0] : 1;
    job_.classes = last[-3];
    job_.height = last[-2];
    job_.width = last[-1];
    job_.pitch = pitch;
    if (pitch != 0) scores_ = {job_.height, job_.width, pitch};
    labels_dtype_ =
        job_.wide() ? py::dtype::of<std::uint16_t>() : py::dtype::of<std::uint8_t>();
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
    fill_taps(job_.rows, job_.row_taps);
    fill_taps(job_.columns, job_.column_taps);
    job_.scratch = memory_.get() + tables;
  }

  // False, and nothing written, for arrays that the plan is not for.
  bool run(py::handle scores, py::handle labels, py::handle confidence,
           py::handle nan_samples) const {
    if (!is_dense(scores, scores_dtype_, scores_) ||
        !is_writable(labels, labels_dtype_, labels_) ||
        meet(bytes_of(scores), bytes_of(labels))) {
      return false;
    }
    UpsampleArgmax job = job_;
    job.scores = py::reinterpret_borrow<py::array>(scores).data();
    job.labels = memory_of(labels);
    job.confidence = nullptr;
    if (!confidence.is_none()) {
      if (!is_writable(confidence, py::dtype::of<float>(), labels_) ||
          meet(bytes_of(scores), bytes_of(confidence)) ||
          meet(bytes_of(labels), bytes_of(confidence))) {
        return false;
      }
      job.confidence = static_cast<float*>(memory_of(confidence));
    }
    if (!nan_samples.is_none()) {
      if (!is_writable(nan_samples, py::dtype::of<std::int32_t>(), {1})) return false;
      job.nan_samples = static_cast<std::int32_t*>(memory_of(nan_samples));
    }
    const WithoutGil nogil;
    FUSEG_PICK(upsample_argmax)(job);
    return true;
  }

 private:
  void cut(Scratch& scratch) {
    job_.row_taps = cut_taps(scratch, job_.height, job_.out_height);
    job_.column_taps = cut_taps(scratch, job_.width, job_.out_width);
  }

  Shape scores_;
  py::dtype scores_dtype_;
  Shape labels_;
  py::dtype labels_dtype_;
  UpsampleArgmax job_;
  std::unique_ptr<std::uint8_t[]> memory_;
};

}  // namespace

void bind_upsample_argmax(py::module_& m) {
  py::class_<Plan>(m, "UpsampleArgmaxPlan")
      .def(
          py::init<const Shape&, py::dtype, const std::array<std::int64_t, 2>&,
                   const Plan::Fractions&, const Plan::Fractions&, int, std::int64_t>(),
          "shape"_a, "dtype"_a, "size"_a, "rows"_a, "columns"_a, "threads"_a, "pitch"_a)
      .def("run", &Plan::run, "scores"_a, "labels"_a, "confidence"_a, "nan_samples"_a);
}

}  // namespace fuseg
