// How arrays cross from Python: borrowed, never converted, never copied.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

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

// Calls without the GIL. A thread that wants it back while the interpreter ends is
// killed where it stands, and C++ then aborts the process. So the exit waits for the
// calls that are in flight, and none begins after that. See native_calls_bind.cpp.
struct NativeCalls {
  void (*begin)();  // with the GIL, as `end`
  void (*end)();
};

// One set for the whole process: the CUDA module asks the other one for it.
const NativeCalls& native_calls();

// While it lives, other threads have the GIL. Takes the place of pybind11's
// gil_scoped_release everywhere.
class WithoutGil {
 public:
  WithoutGil() {
    native_calls().begin();
    thread_ = PyEval_SaveThread();
  }
  ~WithoutGil() {
    PyEval_RestoreThread(thread_);
    native_calls().end();
  }
  WithoutGil(const WithoutGil&) = delete;
  WithoutGil& operator=(const WithoutGil&) = delete;

 private:
  PyThreadState* thread_;
};

// fuseg.ops.placement.Placement, field by field.
inline Geometry geometry_from(const std::array<std::int64_t, 11>& g) {
  return {g[0], g[1], g[2], g[3], static_cast<int>(g[4]), g[5], g[6],
          g[7], g[8], g[9], g[10]};
}

// A plan asks these whether it was given the arrays that it was made for. If not, it
// says so and does nothing: Python then words the refusal, or makes another plan. In a
// frame loop no Python check runs at all, and its code need not be in the cache.

using Shape = std::vector<std::int64_t>;

// The memory of an array, padding between its rows included.
struct Bytes {
  const char* first;
  const char* end;
};

inline bool meet(Bytes a, Bytes b) { return a.first < b.end && b.first < a.end; }

// Of an array whose rows are dense, wherever they lie.
inline Bytes bytes_of(py::handle object) {
  const auto array = py::reinterpret_borrow<py::array>(object);
  const char* row = static_cast<const char*>(array.data());
  if (array.ndim() == 0 || array.shape(0) == 0) return {row, row + array.nbytes()};
  const std::ptrdiff_t last = (array.shape(0) - 1) * array.strides(0);
  return {row + std::min<std::ptrdiff_t>(last, 0),
          row + std::max<std::ptrdiff_t>(last, 0) + array.nbytes() / array.shape(0)};
}

// Any kind of NumPy array but a masked one: its mask is not known here.
inline bool is_plain(py::handle object) {
  if (!py::isinstance<py::array>(object)) return false;
  auto* const plain = py::detail::npy_api::get().PyArray_Type_;
  return Py_TYPE(object.ptr()) == plain || !py::hasattr(object, "mask");
}

// `anywhere`: also where the processor would rather not have its elements.
inline bool is_array(py::handle object, const py::dtype& dtype, const Shape& shape,
                     bool anywhere = false) {
  if (!is_plain(object)) return false;
  const auto array = py::reinterpret_borrow<py::array>(object);
  const py::dtype found = array.dtype();
  return (found.is(dtype) || found.equal(dtype)) &&  // unpickled ones are only equal
         array.ndim() == static_cast<py::ssize_t>(shape.size()) &&
         std::equal(shape.begin(), shape.end(), array.shape()) &&
         (anywhere || (array.flags() & py::detail::npy_api::NPY_ARRAY_ALIGNED_) != 0);
}

inline bool is_dense(py::handle object, const py::dtype& dtype, const Shape& shape) {
  return is_array(object, dtype, shape) &&
         (py::reinterpret_borrow<py::array>(object).flags() & py::array::c_style) != 0;
}

// The same, where the first axis may be shorter than in `most`.
inline bool is_dense_up_to(py::handle object, const py::dtype& dtype,
                           const Shape& most) {
  if (!is_plain(object)) return false;
  const auto array = py::reinterpret_borrow<py::array>(object);
  if (array.ndim() == 0 || array.shape(0) > most[0]) return false;
  Shape shape = most;
  shape[0] = array.shape(0);
  return is_dense(object, dtype, shape);
}

// Whether the rows are dense, at any address; `shape` has no axis of size 0.
inline bool has_dense_rows(py::handle object, const py::dtype& dtype,
                           const Shape& shape) {
  if (!is_array(object, dtype, shape, true)) return false;
  const auto array = py::reinterpret_borrow<py::array>(object);
  std::int64_t dense = array.itemsize();
  for (py::ssize_t axis = array.ndim() - 1; axis > 0; --axis) {
    if (array.shape(axis) > 1 && array.strides(axis) != dense) return false;
    dense *= array.shape(axis);
  }
  return true;
}

inline bool is_writable(py::handle object, const py::dtype& dtype, const Shape& shape) {
  return is_dense(object, dtype, shape) &&
         py::reinterpret_borrow<py::array>(object).writeable();
}

// Whether `out` has room for planes of this shape, (h, w) or (planes, h, w): it has
// that shape itself or, where they begin at a `channel` of "chw4", is (groups, h, w, 4)
// with no fewer groups than they reach. See common/out_planes.h.
inline bool holds_planes(py::handle out, const py::dtype& dtype, const Shape& shape,
                         std::int64_t channel) {
  if (channel < 0) return is_writable(out, dtype, shape);
  if (!py::isinstance<py::array>(out)) return false;
  const auto array = py::reinterpret_borrow<py::array>(out);
  if (array.ndim() != 4) return false;
  const std::int64_t planes = shape.size() == 3 ? shape[0] : 1;
  const std::int64_t groups = array.shape(0);
  return groups * 4 >= channel + planes &&
         is_writable(out, dtype, {groups, shape.end()[-2], shape.end()[-1], 4});
}

// The memory of an array that passed `is_writable`.
inline void* memory_of(py::handle object) {
  return py::reinterpret_borrow<py::array>(object).mutable_data();
}

}  // namespace fuseg
