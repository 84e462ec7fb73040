// One GPU besides its kernels: memory, streams, copies, graphs. fuseg.cuda is what
// calls this. CUDA's runtime from 11.4 on.
#include <nvtx3/nvToolsExt.h>

#include <new>
#include <string>
#include <utility>

#include "cuda/bind_cuda.h"

namespace fuseg {
namespace {

// pybind11 turns it into Python's MemoryError.
class OutOfMemory : public std::bad_alloc {
 public:
  explicit OutOfMemory(std::string text) : text_(std::move(text)) {}
  const char* what() const noexcept override { return text_.c_str(); }

 private:
  std::string text_;
};

void check(cudaError_t status, const char* call) {
  if (status == cudaErrorMemoryAllocation) {
    cudaGetLastError();
    throw OutOfMemory(sentence_of(status, call));
  }
  check_cuda(status, call);
}

int device_count() {
  int count = 0;
  if (cudaGetDeviceCount(&count) == cudaSuccess) return count;
  cudaGetLastError();
  return 0;
}

int current_device() {
  int device = 0;
  check(cudaGetDevice(&device), "cudaGetDevice");
  return device;
}

void use_device(int device) { check(cudaSetDevice(device), "cudaSetDevice"); }

// The device whose memory this is; -1 for memory that every device sees: the CPU's that
// is page-locked, and managed. -2 for what kernels of the thread's context cannot
// reach: another context's, the CPU's own, memory that was given back.
int device_of(Address address) {
  cudaPointerAttributes found{};
  check(cudaPointerGetAttributes(&found, at<void>(address)),
        "cudaPointerGetAttributes");
  if (found.type == cudaMemoryTypeUnregistered) return -2;
  const bool here =
      found.type != cudaMemoryTypeDevice || found.device == current_device();
  if (here && found.devicePointer == nullptr) return -2;
  return found.type == cudaMemoryTypeDevice ? found.device : -1;
}

py::dict device_properties(int device) {
  cudaDeviceProp found{};
  int driver = 0;
  int runtime = 0;
  {
    const WithoutGil nogil;
    check(cudaGetDeviceProperties(&found, device), "cudaGetDeviceProperties");
    check(cudaDriverGetVersion(&driver), "cudaDriverGetVersion");
    check(cudaRuntimeGetVersion(&runtime), "cudaRuntimeGetVersion");
  }
  return py::dict("name"_a = static_cast<const char*>(found.name),
                  "capability"_a = py::make_tuple(found.major, found.minor),
                  "memory_bytes"_a = found.totalGlobalMem,
                  "integrated"_a = found.integrated != 0, "driver_version"_a = driver,
                  "runtime_version"_a = runtime);
}

std::pair<std::size_t, std::size_t> memory_info() {
  std::size_t free = 0;
  std::size_t total = 0;
  check(cudaMemGetInfo(&free, &total), "cudaMemGetInfo");
  return {free, total};
}

Address allocate(std::size_t size) {
  void* memory = nullptr;
  check(cudaMalloc(&memory, size), "cudaMalloc");
  return reinterpret_cast<Address>(memory);
}

void free_memory(Address address) { check(cudaFree(at<void>(address)), "cudaFree"); }

// Where the CPU sees it and where GPUs do; all of them do.
std::pair<Address, Address> allocate_pinned(std::size_t size) {
  void* host = nullptr;
  void* device = nullptr;
  check(cudaHostAlloc(&host, size, cudaHostAllocPortable | cudaHostAllocMapped),
        "cudaHostAlloc");
  const cudaError_t status = cudaHostGetDevicePointer(&device, host, 0);
  if (status != cudaSuccess) {
    cudaFreeHost(host);
    check(status, "cudaHostGetDevicePointer");
  }
  return {reinterpret_cast<Address>(host), reinterpret_cast<Address>(device)};
}

void free_pinned(Address address) {
  check(cudaFreeHost(at<void>(address)), "cudaFreeHost");
}

Address create_stream() {
  cudaStream_t stream = nullptr;
  check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking),
        "cudaStreamCreateWithFlags");
  return reinterpret_cast<Address>(stream);
}

void destroy_stream(Address stream) {
  check(cudaStreamDestroy(at<CUstream_st>(stream)), "cudaStreamDestroy");
}

void copy(Address to, Address source, std::size_t size, Address stream) {
  check(cudaMemcpyAsync(at<void>(to), at<void>(source), size, cudaMemcpyDefault,
                        at<CUstream_st>(stream)),
        "cudaMemcpyAsync");
}

void synchronize(Address stream) {
  check(cudaStreamSynchronize(at<CUstream_st>(stream)), "cudaStreamSynchronize");
}

// Other threads may go on with other streams meanwhile, and take memory.
void begin_capture(Address stream) {
  check(
      cudaStreamBeginCapture(at<CUstream_st>(stream), cudaStreamCaptureModeThreadLocal),
      "cudaStreamBeginCapture");
}

// Whatever happens, the stream captures no longer. The graph is on the GPU once the
// stream has come that far: its first launch is like the others.
Address end_capture(Address stream) {
  cudaGraph_t graph = nullptr;
  check(cudaStreamEndCapture(at<CUstream_st>(stream), &graph), "cudaStreamEndCapture");
  cudaGraphExec_t ready = nullptr;
  cudaError_t status = cudaGraphInstantiateWithFlags(&ready, graph, 0);
  cudaGraphDestroy(graph);
  check(status, "cudaGraphInstantiate");
  status = cudaGraphUpload(ready, at<CUstream_st>(stream));
  if (status != cudaSuccess) cudaGraphExecDestroy(ready);
  check(status, "cudaGraphUpload");
  return reinterpret_cast<Address>(ready);
}

void launch_graph(Address graph, Address stream) {
  check(cudaGraphLaunch(at<CUgraphExec_st>(graph), at<CUstream_st>(stream)),
        "cudaGraphLaunch");
}

void destroy_graph(Address graph) {
  check(cudaGraphExecDestroy(at<CUgraphExec_st>(graph)), "cudaGraphExecDestroy");
}

// Work given to `later` from now on waits for what `earlier` was given so far. Nobody
// else waits, and a graph that is being captured keeps the order.
void stream_wait(Address later, Address earlier) {
  cudaEvent_t event = nullptr;
  check_cuda(cudaEventCreateWithFlags(&event, cudaEventDisableTiming), "no event");
  cudaError_t status = cudaEventRecord(event, at<CUstream_st>(earlier));
  if (status == cudaSuccess) {
    status = cudaStreamWaitEvent(at<CUstream_st>(later), event, 0);
  }
  cudaEventDestroy(event);  // kept by the driver until it has happened
  check_cuda(status, "one stream cannot wait for the other");
}

// A profiler shows what the thread does until pop_range under this name; without one
// they cost nothing.
void push_range(const std::string& name) { nvtxRangePushA(name.c_str()); }

void pop_range() { nvtxRangePop(); }

}  // namespace

// Most of these may wait for the GPU, the driver or other threads: none holds the GIL.
void bind_device_cuda(py::module_& m) {
  const py::call_guard<WithoutGil> nogil;
  m.def("device_count", &device_count, nogil);
  m.def("current_device", &current_device, nogil);
  m.def("use_device", &use_device, "device"_a, nogil);
  m.def("device_of", &device_of, "address"_a, nogil);
  m.def("device_properties", &device_properties, "device"_a);
  m.def("memory_info", &memory_info, nogil);
  m.def("allocate", &allocate, "size"_a, nogil);
  m.def("free", &free_memory, "address"_a, nogil);
  m.def("allocate_pinned", &allocate_pinned, "size"_a, nogil);
  m.def("free_pinned", &free_pinned, "address"_a, nogil);
  m.def("create_stream", &create_stream, nogil);
  m.def("destroy_stream", &destroy_stream, "stream"_a, nogil);
  m.def("copy", &copy, "to"_a, "source"_a, "size"_a, "stream"_a, nogil);
  m.def("synchronize", &synchronize, "stream"_a, nogil);
  m.def("begin_capture", &begin_capture, "stream"_a, nogil);
  m.def("end_capture", &end_capture, "stream"_a, nogil);
  m.def("launch_graph", &launch_graph, "graph"_a, "stream"_a, nogil);
  m.def("destroy_graph", &destroy_graph, "graph"_a, nogil);
  m.def("stream_wait", &stream_wait, "later"_a, "earlier"_a, nogil);
  m.def("push_range", &push_range, "name"_a);
  m.def("pop_range", &pop_range);
}

}  // namespace fuseg
