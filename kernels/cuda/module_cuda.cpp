// The CUDA half of the compiled half: loaded by fuseg.cuda where there is a driver.
#include <cstring>
#include <string>

#include "cuda/bind_cuda.h"

struct CUstream_st;

namespace fuseg {

#define FUSEG_KERNEL(name, Struct) \
  struct Struct;                   \
  void name##_cuda(const Struct& job, CUstream_st* stream);
#include "kernels.inc"
#undef FUSEG_KERNEL

namespace {

// Starts a kernel that fuseg._kernels made (common/kernel.h) on arrays of the current
// GPU: views of fuseg.cuda, None among them, in the kernel's order. It does not wait.
void launch(const py::object& kernel, const py::tuple& views, Address stream) {
  const auto name = kernel.attr("name").cast<std::string>();
  const py::bytes job = kernel.attr("placed")(*views);
  const void* bytes = PyBytes_AS_STRING(job.ptr());
#define FUSEG_KERNEL(kernel_name, Struct)                         \
  if (name == #kernel_name) {                                     \
    return kernel_name##_cuda(*static_cast<const Struct*>(bytes), \
                              at<CUstream_st>(stream));           \
  }
#include "kernels.inc"
#undef FUSEG_KERNEL
  throw std::runtime_error("there is no kernel " + name);
}

}  // namespace

const NativeCalls& native_calls() {
  static const auto* const found = static_cast<const NativeCalls*>(
      PyCapsule_Import("fuseg._kernels.native_calls", 0));
  if (found == nullptr) throw py::error_already_set();
  return *found;
}

void bind_device_cuda(py::module_& m);

}  // namespace fuseg

PYBIND11_MODULE(_kernels_cuda, m) {
  using namespace pybind11::literals;
  fuseg::native_calls();  // throws now, not in a call
  fuseg::bind_device_cuda(m);
  m.def("launch", &fuseg::launch, "kernel"_a, "views"_a, "stream"_a);
}
