// As much of the CUDA runtime as the bindings ask for, on a machine without it: two
// devices in the CPU's memory, whose streams do everything at once and capture nothing.
// An address that was not taken from them is on device 0 all the same: tests make
// arrays.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <utility>

struct CUstream_st {};
struct CUevent_st {
  int device;
};
struct CUgraph_st;
struct CUgraphExec_st;
using cudaStream_t = CUstream_st*;
using cudaEvent_t = CUevent_st*;
using cudaGraph_t = CUgraph_st*;
using cudaGraphExec_t = CUgraphExec_st*;

struct dim3 {
  unsigned x, y, z;
  constexpr dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1)
      : x(x_), y(y_), z(z_) {}
};

enum cudaError_t {
  cudaSuccess = 0,
  cudaErrorInvalidValue = 1,
  cudaErrorMemoryAllocation = 2,
  cudaErrorInvalidConfiguration = 9,
  cudaErrorInvalidDevice = 101,
  cudaErrorInvalidResourceHandle = 400,
  cudaErrorNotSupported = 801,
};
enum cudaMemoryType {
  cudaMemoryTypeUnregistered = 0,
  cudaMemoryTypeHost = 1,
  cudaMemoryTypeDevice = 2,
  cudaMemoryTypeManaged = 3,
};
enum cudaDeviceAttr { cudaDevAttrMultiProcessorCount = 16 };
enum cudaMemcpyKind { cudaMemcpyDefault = 4 };
enum cudaStreamCaptureMode { cudaStreamCaptureModeThreadLocal = 1 };
struct cudaPointerAttributes {
  cudaMemoryType type;
  int device;
  void* devicePointer;
};
struct cudaDeviceProp {
  char name[256];
  std::size_t totalGlobalMem;
  int major;
  int minor;
  int integrated;
};
constexpr unsigned cudaEventDisableTiming = 2;
constexpr unsigned cudaHostAllocPortable = 1;
constexpr unsigned cudaHostAllocMapped = 2;
constexpr unsigned cudaStreamNonBlocking = 1;

// What failed last, until somebody asks; a test that leaves one fails. Tests look it up
// by its plain name.
extern "C" {
[[gnu::visibility("default")]] inline int fuseg_emulator_error = 0;
}

namespace emulated {

inline cudaError_t failed(cudaError_t status) {
  fuseg_emulator_error = status;
  return status;
}

constexpr int kDevices = 2;
constexpr std::size_t kBytes = std::size_t{1} << 30;  // each

struct Block {
  std::size_t size;
  int device;
};
using Blocks = std::map<const void*, Block>;

struct Books {
  std::mutex lock;
  Blocks memory;  // of the devices
  Blocks pinned;
  Blocks strange;  // see fuseg_emulator_strange
  std::map<const void*, int> streams;
  std::size_t used[kDevices] = {};
};
inline Books books;
inline thread_local int current = 0;

inline std::size_t rounded(std::size_t size) { return (size + 255) / 256 * 256; }

inline const Block* holding(const Blocks& blocks, const void* address) {
  auto next = blocks.upper_bound(address);
  if (next == blocks.begin()) return nullptr;
  const auto& [start, block] = *--next;
  const auto* const end = static_cast<const char*>(start) + block.size;
  return static_cast<const char*>(address) < end ? &block : nullptr;
}

// The device of a stream; -1 if there is none. The two streams that CUDA has without
// being asked are the current device's.
inline int device_of(cudaStream_t stream) {
  if (reinterpret_cast<std::size_t>(stream) <= 2) return current;
  const std::lock_guard<std::mutex> guard(books.lock);
  const auto found = books.streams.find(stream);
  return found == books.streams.end() ? -1 : found->second;
}

inline bool knows(cudaStream_t stream) { return device_of(stream) >= 0; }

}  // namespace emulated

// Lets a test have memory that is on no device (-1), or on device 0 in a context of
// somebody else (-2).
extern "C" [[gnu::visibility("default"), gnu::used]] inline void fuseg_emulator_strange(
    const void* address, std::size_t size, int what) {
  const std::lock_guard<std::mutex> guard(emulated::books.lock);
  emulated::books.strange[address] = {size, what};
}

inline const char* cudaGetErrorName(cudaError_t status) {
  switch (status) {
    case cudaSuccess:
      return "cudaSuccess";
    case cudaErrorInvalidValue:
      return "cudaErrorInvalidValue";
    case cudaErrorMemoryAllocation:
      return "cudaErrorMemoryAllocation";
    case cudaErrorInvalidConfiguration:
      return "cudaErrorInvalidConfiguration";
    case cudaErrorInvalidDevice:
      return "cudaErrorInvalidDevice";
    case cudaErrorInvalidResourceHandle:
      return "cudaErrorInvalidResourceHandle";
    case cudaErrorNotSupported:
      return "cudaErrorNotSupported";
  }
  return "cudaErrorUnknown";
}
inline const char* cudaGetErrorString(cudaError_t) { return "emulated"; }
inline cudaError_t cudaGetLastError() {
  return static_cast<cudaError_t>(std::exchange(fuseg_emulator_error, 0));
}

inline cudaError_t cudaGetDeviceCount(int* count) {
  *count = emulated::kDevices;
  return cudaSuccess;
}
inline cudaError_t cudaGetDevice(int* device) {
  *device = emulated::current;
  return cudaSuccess;
}
inline cudaError_t cudaSetDevice(int device) {
  if (device < 0 || device >= emulated::kDevices)
    return emulated::failed(cudaErrorInvalidDevice);
  emulated::current = device;
  return cudaSuccess;
}
inline cudaError_t cudaGetDeviceProperties(cudaDeviceProp* found, int device) {
  if (device < 0 || device >= emulated::kDevices)
    return emulated::failed(cudaErrorInvalidDevice);
  *found = {"Emulated GPU", emulated::kBytes, 7, 5, 0};
  return cudaSuccess;
}
inline cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr, int device) {
  if (device != 0) return emulated::failed(cudaErrorInvalidDevice);
  *value = 1;  // multiprocessor: small pictures fill it
  return cudaSuccess;
}
inline cudaError_t cudaDriverGetVersion(int* version) {
  *version = 12060;
  return cudaSuccess;
}
inline cudaError_t cudaRuntimeGetVersion(int* version) {
  *version = 11040;
  return cudaSuccess;
}

inline cudaError_t cudaPointerGetAttributes(cudaPointerAttributes* found,
                                            const void* address) {
  using namespace emulated;
  const std::lock_guard<std::mutex> guard(books.lock);
  auto* const same = const_cast<void*>(address);
  const Block* const ours = holding(books.memory, address);
  *found = {cudaMemoryTypeDevice, ours == nullptr ? 0 : ours->device, same};
  if (holding(books.pinned, address) != nullptr) found->type = cudaMemoryTypeHost;
  if (const Block* const strange = holding(books.strange, address)) {
    if (strange->device == -1) found->type = cudaMemoryTypeUnregistered;
    found->devicePointer = nullptr;
  }
  return cudaSuccess;
}
inline cudaError_t cudaMalloc(void** memory, std::size_t size) {
  using namespace emulated;
  const std::lock_guard<std::mutex> guard(books.lock);
  if (rounded(size) > kBytes - books.used[current])
    return emulated::failed(cudaErrorMemoryAllocation);
  *memory = size == 0 ? nullptr : std::aligned_alloc(256, rounded(size));
  if (size == 0) return cudaSuccess;
  books.memory[*memory] = {rounded(size), current};
  books.used[current] += rounded(size);
  return cudaSuccess;
}
inline cudaError_t cudaFree(void* memory) {
  using namespace emulated;
  if (memory == nullptr) return cudaSuccess;
  const std::lock_guard<std::mutex> guard(books.lock);
  const auto found = books.memory.find(memory);
  if (found == books.memory.end()) return emulated::failed(cudaErrorInvalidValue);
  books.used[found->second.device] -= found->second.size;
  books.memory.erase(found);
  std::free(memory);
  return cudaSuccess;
}
inline cudaError_t cudaMemGetInfo(std::size_t* free, std::size_t* total) {
  const std::lock_guard<std::mutex> guard(emulated::books.lock);
  *free = emulated::kBytes - emulated::books.used[emulated::current];
  *total = emulated::kBytes;
  return cudaSuccess;
}
inline cudaError_t cudaHostAlloc(void** host, std::size_t size, unsigned) {
  using namespace emulated;
  if (size > kBytes) return emulated::failed(cudaErrorMemoryAllocation);
  *host = std::aligned_alloc(256, rounded(size));
  const std::lock_guard<std::mutex> guard(books.lock);
  books.pinned[*host] = {rounded(size), current};
  return cudaSuccess;
}
inline cudaError_t cudaHostGetDevicePointer(void** device, void* host, unsigned) {
  *device = host;
  return cudaSuccess;
}
inline cudaError_t cudaFreeHost(void* host) {
  const std::lock_guard<std::mutex> guard(emulated::books.lock);
  if (emulated::books.pinned.erase(host) == 0)
    return emulated::failed(cudaErrorInvalidValue);
  std::free(host);
  return cudaSuccess;
}
inline cudaError_t cudaMemcpyAsync(void* to, const void* source, std::size_t size,
                                   cudaMemcpyKind, cudaStream_t stream) {
  if (!emulated::knows(stream)) return emulated::failed(cudaErrorInvalidResourceHandle);
  std::memcpy(to, source, size);
  return cudaSuccess;
}

inline cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
  *stream = new CUstream_st;
  const std::lock_guard<std::mutex> guard(emulated::books.lock);
  emulated::books.streams[*stream] = emulated::current;
  return cudaSuccess;
}
inline cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  const std::lock_guard<std::mutex> guard(emulated::books.lock);
  if (emulated::books.streams.erase(stream) == 0)
    return emulated::failed(cudaErrorInvalidResourceHandle);
  delete stream;
  return cudaSuccess;
}
inline cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  return emulated::knows(stream) ? cudaSuccess
                                 : emulated::failed(cudaErrorInvalidResourceHandle);
}
inline cudaError_t cudaStreamBeginCapture(cudaStream_t, cudaStreamCaptureMode) {
  return emulated::failed(cudaErrorNotSupported);
}
inline cudaError_t cudaStreamEndCapture(cudaStream_t, cudaGraph_t*) {
  return emulated::failed(cudaErrorNotSupported);
}
inline cudaError_t cudaGraphInstantiateWithFlags(cudaGraphExec_t*, cudaGraph_t,
                                                 unsigned long long) {
  return emulated::failed(cudaErrorNotSupported);
}
inline cudaError_t cudaGraphDestroy(cudaGraph_t) {
  return emulated::failed(cudaErrorNotSupported);
}
inline cudaError_t cudaGraphUpload(cudaGraphExec_t, cudaStream_t) {
  return emulated::failed(cudaErrorNotSupported);
}
inline cudaError_t cudaGraphLaunch(cudaGraphExec_t, cudaStream_t) {
  return emulated::failed(cudaErrorNotSupported);
}
inline cudaError_t cudaGraphExecDestroy(cudaGraphExec_t) {
  return emulated::failed(cudaErrorNotSupported);
}

inline cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) {
  *event = new CUevent_st{emulated::current};
  return cudaSuccess;
}
// An event is recorded on streams of its own device alone.
inline cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  return event->device == emulated::device_of(stream)
             ? cudaSuccess
             : emulated::failed(cudaErrorInvalidResourceHandle);
}
inline cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t, unsigned = 0) {
  return emulated::knows(stream) ? cudaSuccess
                                 : emulated::failed(cudaErrorInvalidResourceHandle);
}
inline cudaError_t cudaEventDestroy(cudaEvent_t event) {
  delete event;
  return cudaSuccess;
}
