// The compiled half of fuseg. Each kernel binds itself.
#include <pybind11/pybind11.h>

#include <algorithm>

#include "simd/level.h"

namespace py = pybind11;

namespace fuseg {
void bind_native_calls(py::module_& m);

#define FUSEG_KERNEL(name, Struct) void bind_##name(py::module_& m);
#include "kernels.inc"
#undef FUSEG_KERNEL
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

#define FUSEG_KERNEL(name, Struct) fuseg::bind_##name(m);
#include "kernels.inc"
#undef FUSEG_KERNEL
}
