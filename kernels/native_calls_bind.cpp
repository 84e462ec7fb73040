// What the end of the interpreter and a fork must not cut through: native calls of this
// library, and through `native_call` and `CallLock` those of the engines' libraries.
#include <time.h>

#include <atomic>

#include "common/bind.h"

namespace fuseg {
namespace {

// All but `in_flight` is read and written by who has the GIL.
std::atomic<int> in_flight{0};  // by threads
thread_local int depth = 0;     // calls inside each other count once
bool exiting = false;
unsigned long exiting_thread = 0;
long forks = 0;

void nap(long milliseconds) {
  const timespec time{milliseconds / 1000, milliseconds % 1000 * 1000000};
  nanosleep(&time, nullptr);
}

// The interpreter ends, and threads that nobody joined end with it; this one keeps out
// of its way until then. Python itself does the same from 3.14 on.
[[noreturn]] void sleep_until_the_end() {
  PyEval_SaveThread();
  for (;;) nap(3600000);
}

bool comes_too_late() {
  return exiting && depth == 0 && PyThread_get_thread_ident() != exiting_thread;
}

void begin() {
  if (comes_too_late()) sleep_until_the_end();
  if (depth++ == 0) ++in_flight;
}

void end() {
  if (--depth == 0) --in_flight;
}

const NativeCalls calls{&begin, &end};

class InFlight {
 public:
  InFlight() { begin(); }
  ~InFlight() { end(); }
  InFlight(const InFlight&) = delete;
  InFlight& operator=(const InFlight&) = delete;
};

// Waits until no other thread is in a native call; later ones do not begin. A signal
// whose handler raises ends the waiting.
void finish_native_calls() {
  exiting = true;
  exiting_thread = PyThread_get_thread_ident();
  while (in_flight > (depth > 0 ? 1 : 0)) {
    PyThreadState* const thread = PyEval_SaveThread();
    nap(1);
    PyEval_RestoreThread(thread);
    if (PyErr_CheckSignals() != 0) throw py::error_already_set();
  }
}

// In the child: the other threads are gone. Whether one of them was in a native call.
bool after_fork() {
  const int mine = depth > 0 ? 1 : 0;
  const bool cut = in_flight > mine;
  in_flight = mine;
  ++forks;
  return cut;
}

// As `function(*arguments, **named)`, which makes copies of both.
py::object run(const py::function& function, const py::args& arguments,
               const py::kwargs& named) {
  PyObject* const result = PyObject_Call(function.ptr(), arguments.ptr(), named.ptr());
  if (result == nullptr) throw py::error_already_set();
  return py::reinterpret_steal<py::object>(result);
}

py::object native_call(const py::function& function, const py::args& arguments,
                       const py::kwargs& named) {
  const InFlight in_flight_now;
  return run(function, arguments, named);
}

// One call at a time, of one thread: a lock that is given back on every way out,
// however late an exception arrives, and that a child process finds open.
class CallLock {
 public:
  CallLock() : lock_(PyThread_allocate_lock()), forks_(forks) {
    if (lock_ == nullptr) throw std::bad_alloc();
  }
  ~CallLock() {
    if (forks_ == forks) PyThread_free_lock(lock_);
  }
  CallLock(const CallLock&) = delete;
  CallLock& operator=(const CallLock&) = delete;

  py::object call(const py::function& function, const py::args& arguments,
                  const py::kwargs& named) {
    InFlight in_flight_now;
    if (forks_ != forks) {  // who holds the old one may be a thread of the parent
      PyThread_type_lock fresh = PyThread_allocate_lock();
      if (fresh == nullptr) throw std::bad_alloc();
      lock_ = fresh;
      forks_ = forks;
      holder_ = 0;
    }
    const Held held(*this);
    return run(function, arguments, named);
  }

 private:
  class Held {
   public:
    explicit Held(CallLock& owner) : owner_(owner), lock_(owner.lock_) {
      const unsigned long thread = PyThread_get_thread_ident();
      if (owner.holder_ == thread) {
        PyErr_SetString(
            py::module_::import("fuseg.errors").attr("ArgumentError").ptr(),
            "a Segmenter must not be used inside one of its own calls, as by a signal "
            "handler or its backend: use segmenter.clone() there.");
        throw py::error_already_set();
      }
      wait();
      owner.holder_ = thread;
    }
    ~Held() {
      if (owner_.lock_ == lock_) owner_.holder_ = 0;
      PyThread_release_lock(lock_);
    }
    Held(const Held&) = delete;
    Held& operator=(const Held&) = delete;

   private:
    void wait() {
      if (PyThread_acquire_lock(lock_, NOWAIT_LOCK) != 0) return;
      for (;;) {
        PyThreadState* const thread = PyEval_SaveThread();
        const PyLockStatus status = PyThread_acquire_lock_timed(lock_, -1, 1);
        PyEval_RestoreThread(thread);
        if (status == PY_LOCK_ACQUIRED) break;
        if (PyErr_CheckSignals() != 0) throw py::error_already_set();
      }
      if (exiting && depth == 1 && PyThread_get_thread_ident() != exiting_thread) {
        PyThread_release_lock(lock_);
        end();
        sleep_until_the_end();
      }
    }

    CallLock& owner_;
    PyThread_type_lock lock_;
  };

  PyThread_type_lock lock_;
  long forks_;
  unsigned long holder_ = 0;
};

}  // namespace

const NativeCalls& native_calls() { return calls; }

void bind_native_calls(py::module_& m) {
  m.attr("native_calls") =
      py::capsule(static_cast<const void*>(&calls), "fuseg._kernels.native_calls");
  m.def("finish_native_calls", &finish_native_calls);
  m.def("after_fork", &after_fork);
  m.def("native_call", &native_call, "function"_a);
  py::class_<CallLock>(m, "CallLock")
      .def(py::init<>())
      .def("call", &CallLock::call, "function"_a);
}

}  // namespace fuseg
