// How arrays cross from Python: borrowed, never converted, never copied.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <cstddef>
#include <cstdint>

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

}  // namespace fuseg
