// A kernel as Python holds it: its struct with the settings in it, the memory it works
// in, and what every array of a call must be like.
//
// Settings were checked, with proper sentences, by fuseg.ops. A frame loop only calls
// `run`, which checks the arrays here: no Python check runs at all, and its code need
// not be in the cache. The same object serves the GPU: see cuda/module_cuda.cpp.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <utility>
#include <vector>

#include "common/bind.h"

namespace fuseg {

constexpr std::size_t kNowhere = ~std::size_t{0};
constexpr int kMostArrays = 16;

// One array of a call, and which fields of the struct are filled from it.
struct Array {
  std::size_t pointer;
  py::dtype dtype;
  Shape shape;
  bool written;
  bool optional = false;             // null for None
  std::size_t row_bytes = kNowhere;  // if its rows may lie anywhere
  std::size_t half = kNowhere;       // if it may as well be float16
  bool gray = false;                 // a last axis of 1 may be missing
  std::int64_t chw4_channel = -1;    // see holds_planes
  std::size_t rows = kNowhere;       // if the first axis may be shorter, or empty

  bool fits(py::handle given) const {
    if (rows != kNowhere) return is_dense_up_to(given, dtype, shape);
    if (written) return holds_planes(given, dtype, shape, chw4_channel);
    if (row_bytes == kNowhere) {
      return is_dense(given, dtype, shape) ||
             (half != kNowhere && is_dense(given, py::dtype("float16"), shape));
    }
    return has_dense_rows(given, dtype, shape) ||
           (gray && has_dense_rows(given, dtype, {shape.begin(), shape.end() - 1}));
  }
};

// Kernel: a class derived from this one. Its `call(Struct&)` runs the kernel on the CPU
// and answers with what Python is to get.
template <typename Struct, typename Kernel>
class KernelOf {
 public:
  // What `call` answers; None, and nothing is written, for arrays that do not fit.
  py::object run(const py::args& given) {
    if (given.size() != arrays_.size()) return py::none();
    Struct job = job_;
    Bytes used[kMostArrays];
    int count = 0;
    py::ssize_t rows = -1;
    for (std::size_t i = 0; i < arrays_.size(); ++i) {
      const Array& array = arrays_[i];
      const py::handle found(PyTuple_GET_ITEM(given.ptr(), i));
      if (array.optional && found.is_none()) continue;
      if (!array.fits(found)) return py::none();
      const Bytes bytes = bytes_of(found);
      for (int k = 0; array.written && k < count; ++k) {
        if (meet(used[k], bytes)) return py::none();
      }
      used[count++] = bytes;
      const auto fitting = py::reinterpret_borrow<py::array>(found);
      if (array.rows != kNowhere) {
        if (rows >= 0 && rows != fitting.shape(0)) return py::none();
        rows = fitting.shape(0);
      }
      place(job, array, fitting);
    }
    return py::cast(call_without_gil(job));
  }

  // Whether this could be the first array of a call.
  bool takes(py::handle first) const { return arrays_[0].fits(first); }

  // For the CUDA module: the struct with arrays on a GPU in it, which Python has
  // checked.
  py::bytes placed(const py::args& views) const {
    Struct job = job_;
    for (std::size_t i = 0; i < arrays_.size(); ++i) {
      const py::handle view(PyTuple_GET_ITEM(views.ptr(), i));
      if (view.is_none()) continue;
      set(job, arrays_[i].pointer, view.attr("pointer").cast<std::uintptr_t>());
      if (arrays_[i].row_bytes != kNowhere) {
        const py::tuple strides = view.attr("strides");
        set(job, arrays_[i].row_bytes, strides[0].template cast<std::ptrdiff_t>());
      }
      if (arrays_[i].half != kNowhere) {
        set(job, arrays_[i].half, view.attr("itemsize").template cast<int>() == 2);
      }
      if (arrays_[i].rows != kNowhere) {
        const py::tuple shape = view.attr("shape");
        set(job, arrays_[i].rows, shape[0].template cast<std::int64_t>());
      }
    }
    return {reinterpret_cast<const char*>(&job), sizeof job};
  }

  // Which arrays a call writes.
  std::vector<bool> written() const {
    std::vector<bool> are;
    for (const Array& array : arrays_) are.push_back(array.written);
    return are;
  }

 protected:
  // In the order of a call.
  template <typename T>
  Array& input(T*& pointer, py::dtype dtype, Shape shape) {
    arrays_.push_back({field(pointer), std::move(dtype), std::move(shape), false});
    return arrays_.back();
  }
  template <typename T>
  Array& output(T*& pointer, py::dtype dtype, Shape shape) {
    arrays_.push_back({field(pointer), std::move(dtype), std::move(shape), true});
    return arrays_.back();
  }

  // A field of job_, as its place in the struct.
  template <typename T>
  std::size_t field(const T& member) const {
    return static_cast<std::size_t>(reinterpret_cast<const char*>(&member) -
                                    reinterpret_cast<const char*>(&job_));
  }

  Struct job_{};

 private:
  template <typename T>
  static void set(Struct& job, std::size_t at, T value) {
    std::memcpy(reinterpret_cast<char*>(&job) + at, &value, sizeof value);
  }

  static void place(Struct& job, const Array& array, const py::array& found) {
    set(job, array.pointer, found.data());
    if (array.row_bytes != kNowhere) set(job, array.row_bytes, found.strides(0));
    if (array.half != kNowhere) set(job, array.half, found.itemsize() == 2);
    if (array.rows != kNowhere) set(job, array.rows, std::int64_t{found.shape(0)});
  }

  auto call_without_gil(Struct& job) {
    const WithoutGil nogil;
    return static_cast<Kernel*>(this)->call(job);
  }

  std::vector<Array> arrays_;
};

// The class in Python has the name of the struct; `name` is the kernel's.
template <typename Kernel>
py::class_<Kernel> bind_kernel(py::module_& m, const char* struct_name,
                               const char* name) {
  py::class_<Kernel> bound(m, struct_name);
  bound.def("run", &Kernel::run)
      .def("takes", &Kernel::takes, "first"_a)
      .def("placed", &Kernel::placed)
      .def_property_readonly("written", &Kernel::written);
  bound.attr("name") = name;
  return bound;
}

}  // namespace fuseg
