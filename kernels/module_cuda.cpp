// The CUDA half of the compiled half: loaded by fuseg._device where there is a driver.
// Each room binds itself; this file only calls the roll.
#include "common/bind_cuda.h"

namespace fuseg {
void bind_confusion_matrix_cuda(py::module_& m);
void bind_fuse_argmax_cuda(py::module_& m);
void bind_overlay_cuda(py::module_& m);
void bind_pack_color_cuda(py::module_& m);
void bind_pack_depth_cuda(py::module_& m);
void bind_upsample_argmax_cuda(py::module_& m);

namespace {

// Work given to `later` from now on waits for what `earlier` was given so far. Nobody
// else waits, and a graph that is being captured keeps the order.
void put_after(Address later, Address earlier) {
  cudaEvent_t event = nullptr;
  check_cuda(cudaEventCreateWithFlags(&event, cudaEventDisableTiming), "no event");
  cudaError_t status = cudaEventRecord(event, at<CUstream_st>(earlier));
  if (status == cudaSuccess) {
    status = cudaStreamWaitEvent(at<CUstream_st>(later), event, 0);
  }
  cudaEventDestroy(event);  // kept by the driver until it has happened
  check_cuda(status, "one stream cannot wait for the other");
}

}  // namespace
}  // namespace fuseg

PYBIND11_MODULE(_kernels_cuda, m) {
  m.def("put_after", &fuseg::put_after, pybind11::arg("later"),
        pybind11::arg("earlier"));
  fuseg::bind_confusion_matrix_cuda(m);
  fuseg::bind_fuse_argmax_cuda(m);
  fuseg::bind_overlay_cuda(m);
  fuseg::bind_pack_color_cuda(m);
  fuseg::bind_pack_depth_cuda(m);
  fuseg::bind_upsample_argmax_cuda(m);
}
