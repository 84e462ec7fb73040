// The CUDA half of the compiled half: loaded by fuseg.cuda where there is a driver.
// Each kernel binds itself, and so does the device; this file only lists them.
#include "cuda/bind_cuda.h"

namespace fuseg {

const NativeCalls& native_calls() {
  static const auto* const found = static_cast<const NativeCalls*>(
      PyCapsule_Import("fuseg._kernels.native_calls", 0));
  if (found == nullptr) throw py::error_already_set();
  return *found;
}

void bind_device_cuda(py::module_& m);
void bind_confusion_matrix_cuda(py::module_& m);
void bind_fuse_argmax_cuda(py::module_& m);
void bind_overlay_cuda(py::module_& m);
void bind_pack_color_cuda(py::module_& m);
void bind_pack_depth_cuda(py::module_& m);
void bind_upsample_argmax_cuda(py::module_& m);
}  // namespace fuseg

PYBIND11_MODULE(_kernels_cuda, m) {
  fuseg::native_calls();  // throws now, not in a call
  fuseg::bind_device_cuda(m);
  fuseg::bind_confusion_matrix_cuda(m);
  fuseg::bind_fuse_argmax_cuda(m);
  fuseg::bind_overlay_cuda(m);
  fuseg::bind_pack_color_cuda(m);
  fuseg::bind_pack_depth_cuda(m);
  fuseg::bind_upsample_argmax_cuda(m);
}
