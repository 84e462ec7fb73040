// How arrays cross from Python: borrowed, never converted, never copied.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <array>
#include <cstddef>
#include <cstdint>

#include "common/geometry.h"

namespace fuseg {
namespace py = pybind11;
using namespace py::literals;

// A NumPy array that must already be C-contiguous. Bind it with .noconvert(): a
// converted output would be a temporary, and the caller's buffer would stay as
// it was.
template <typename T>
using HostArray = py::array_t<T, py::array::c_style>;

// A NumPy array whose rows may lie anywhere: a crop or a flip of a larger image.
// Bind it with .noconvert() too, and read it through strides(0).
template <typename T>
using RowsArray = py::array_t<T, 0>;

// fuseg.ops.placement.Placement, field by field.
inline Geometry geometry_from(const std::array<std::int64_t, 11>& g) {
  return {g[0], g[1], g[2], g[3], static_cast<int>(g[4]), g[5], g[6],
          g[7], g[8], g[9], g[10]};
}

}  // namespace fuseg
