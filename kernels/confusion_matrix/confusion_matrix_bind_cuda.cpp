#include "confusion_matrix/confusion_matrix.h"
#include "cuda/bind_cuda.h"

namespace fuseg {

void bind_confusion_matrix_cuda(py::module_& m) {
  m.def(
      "confusion_matrix_cuda",
      [](Address truth, Address prediction, int label_bytes, std::int64_t pixels,
         int classes, int ignore, Address counts, Address stream) {
        ConfusionMatrix job{};
        job.truth = at<void>(truth);
        job.prediction = at<void>(prediction);
        job.label_bytes = label_bytes;
        job.pixels = pixels;
        job.classes = classes;
        job.ignore = ignore;
        job.counts = at<std::int64_t>(counts);
        const OnDeviceOf device(counts);
        confusion_matrix_cuda(job, at<CUstream_st>(stream));
      },
      "truth"_a, "prediction"_a, "label_bytes"_a, "pixels"_a, "classes"_a, "ignore"_a,
      "counts"_a, "stream"_a);
}

}  // namespace fuseg
