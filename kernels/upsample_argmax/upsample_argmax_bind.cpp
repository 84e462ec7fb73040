#include <array>
#include <cstdint>
#include <memory>

#include "common/kernel.h"
#include "upsample_argmax/upsample_argmax.h"

namespace fuseg {
namespace {

class UpsampleArgmaxKernel : public KernelOf<UpsampleArgmax, UpsampleArgmaxKernel> {
 public:
  using Axis = std::array<std::int64_t, 3>;  // AffineAxis of common/resample.h

  // `shape` of the scores is (C, h, w) or (N, C, h, w), however they lie.
  UpsampleArgmaxKernel(const Shape& shape, py::dtype dtype,
                       const std::array<std::int64_t, 2>& size, const Axis& rows,
                       const Axis& columns, std::int64_t pitch, int threads) {
    const auto last = shape.end();
    job_.half = dtype.itemsize() == 2;
    job_.images = shape.size() == 4 ? shape[0] : 1;
    job_.classes = last[-3];
    job_.height = last[-2];
    job_.width = last[-1];
    job_.pitch = pitch;
    job_.out_height = size[0];
    job_.out_width = size[1];
    job_.rows = {rows[0], rows[1], rows[2]};
    job_.columns = {columns[0], columns[1], columns[2]};
    job_.threads = threads;

    Shape labels(shape.begin(), shape.end() - 3);
    labels.insert(labels.end(), size.begin(), size.end());
    input(job_.scores, dtype,
          pitch == 0 ? shape : Shape{job_.height, job_.width, pitch});
    output(job_.labels, py::dtype(job_.wide() ? "uint16" : "uint8"), labels);
    output(job_.confidence, py::dtype("float32"), labels).optional = true;
    output(job_.nan_samples, py::dtype("int32"), {1}).optional = true;

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

  bool call(const UpsampleArgmax& job) {
    FUSEG_PICK(upsample_argmax)(job);
    return true;
  }

 private:
  void cut(Scratch& scratch) {
    job_.row_taps = cut_taps(scratch, job_.height, job_.out_height);
    job_.column_taps = cut_taps(scratch, job_.width, job_.out_width);
  }

  std::unique_ptr<std::uint8_t[]> memory_;
};

}  // namespace

void bind_upsample_argmax(py::module_& m) {
  using Kernel = UpsampleArgmaxKernel;
  bind_kernel<Kernel>(m, "UpsampleArgmax", "upsample_argmax")
      .def(py::init<const Shape&, py::dtype, const std::array<std::int64_t, 2>&,
                    const Kernel::Axis&, const Kernel::Axis&, std::int64_t, int>(),
           "shape"_a, "dtype"_a, "size"_a, "rows"_a, "columns"_a, "pitch"_a,
           "threads"_a);
}

}  // namespace fuseg
