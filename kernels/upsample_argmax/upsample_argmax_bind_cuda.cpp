#include "cuda/bind_cuda.h"
#include "upsample_argmax/upsample_argmax.h"

namespace fuseg {

void bind_upsample_argmax_cuda(py::module_& m) {
  m.def(
      "upsample_argmax_cuda",
      [](Address scores, bool half, const std::array<std::int64_t, 4>& shape,
         Address labels, Address confidence, Address nan_samples,
         std::int64_t out_height, std::int64_t out_width,
         const std::array<std::int64_t, 3>& rows,
         const std::array<std::int64_t, 3>& columns, std::int64_t pitch,
         Address stream) {
        UpsampleArgmax job{};
        job.scores = at<void>(scores);
        job.half = half;
        job.images = shape[0];
        job.classes = shape[1];
        job.height = shape[2];
        job.width = shape[3];
        job.pitch = pitch;
        job.labels = at<void>(labels);
        job.confidence = at<float>(confidence);
        job.nan_samples = at<std::int32_t>(nan_samples);
        job.out_height = out_height;
        job.out_width = out_width;
        job.rows = {rows[0], rows[1], rows[2]};
        job.columns = {columns[0], columns[1], columns[2]};
        const OnDeviceOf device(labels);
        upsample_argmax_cuda(job, at<CUstream_st>(stream));
      },
      "scores"_a, "half"_a, "shape"_a, "labels"_a, "confidence"_a, "nan_samples"_a,
      "out_height"_a, "out_width"_a, "rows"_a, "columns"_a, "pitch"_a, "stream"_a);
}

}  // namespace fuseg
