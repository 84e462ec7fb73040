// The compiled half of fuseg. Each kernel binds itself; this file only lists them.
#include <pybind11/pybind11.h>

#include <algorithm>

#include "simd/level.h"

namespace py = pybind11;

namespace fuseg {
void bind_confusion_matrix(py::module_& m);
void bind_fuse_argmax(py::module_& m);
void bind_native_calls(py::module_& m);
void bind_overlay(py::module_& m);
void bind_pack_color(py::module_& m);
void bind_pack_depth(py::module_& m);
void bind_upsample_argmax(py::module_& m);
}  // namespace fuseg

PYBIND11_MODULE(_kernels, m) {
  // Those this machine can run, the widest last.
  m.def("levels", [] {
    py::list numbers;
    for (const fuseg::Level level : fuseg::kLevels) {
      if (level <= fuseg::widest_level()) numbers.append(static_cast<int>(level));
    }
    return numbers;
  });
  m.def(
      "use_level",
      [](int level) {
        const int widest = static_cast<int>(fuseg::widest_level());
        fuseg::level_in_use.store(static_cast<fuseg::Level>(std::min(level, widest)));
      },
      py::arg("level"));
  fuseg::bind_native_calls(m);
  fuseg::bind_confusion_matrix(m);
  fuseg::bind_fuse_argmax(m);
  fuseg::bind_overlay(m);
  fuseg::bind_pack_color(m);
  fuseg::bind_pack_depth(m);
  fuseg::bind_upsample_argmax(m);
}
