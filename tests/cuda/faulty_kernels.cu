// Kernels with the mistakes that the emulator must not let pass; test_emulator.py runs
// each of them.
#include <cstdio>

#include "cuda/device.cuh"

namespace fuseg {
namespace {

constexpr int kThreads = 96;

__global__ void misaligned_load(std::uint32_t* memory) {
  const auto* from = reinterpret_cast<const uint4*>(memory + 1);
  if (threadIdx.x == 0) memory[0] = __ldg(from).y;
}

__global__ void misaligned_store(std::uint32_t* memory) {
  if (threadIdx.x == 0) *reinterpret_cast<uint4*>(memory + 1) = make_uint4(1, 2, 3, 4);
}

__global__ void beyond_an_array(std::uint32_t* memory) {
  auto& table = shared<std::uint32_t[kThreads]>();
  table[threadIdx.x] = 7;
  __syncthreads();
  memory[threadIdx.x] = table[threadIdx.x + 1];
}

__global__ void sum_of_what_nobody_wrote(std::uint32_t* memory) {
  auto& table = shared<std::uint32_t[kThreads]>();
  if (blockIdx.x == 0) table[threadIdx.x] = 7;
  __syncthreads();
  memory[threadIdx.x] = table[threadIdx.x];
}

__global__ void neighbours_without_a_barrier(std::uint32_t* memory) {
  auto& table = shared<std::uint32_t[kThreads]>();
  table[threadIdx.x] = threadIdx.x;
  memory[threadIdx.x] = table[threadIdx.x ^ 1];
}

__global__ void warps_without_a_barrier(std::uint32_t* memory) {
  auto& table = shared<std::uint32_t[kThreads]>();
  table[threadIdx.x] = threadIdx.x;
  __syncwarp();
  memory[threadIdx.x] = table[(threadIdx.x + 32) % kThreads];
}

__global__ void mask_of_half_a_warp(std::uint32_t* memory) {
  memory[threadIdx.x] = __shfl_xor_sync(0xffffu, threadIdx.x, 1);
}

__global__ void mask_with_lanes_that_left(std::uint32_t* memory) {
  if (threadIdx.x % 32 >= 16) return;
  memory[threadIdx.x] = __ballot_sync(~0u, true);
}

__global__ void without_a_mistake(std::uint32_t* memory) {
  auto& table = shared<std::uint32_t[kThreads]>();
  table[threadIdx.x] = threadIdx.x;
  __syncthreads();
  const std::uint32_t other = table[(threadIdx.x + 32) % kThreads];
  memory[threadIdx.x] = __shfl_xor_sync(~0u, other, 1);
}

using Kernel = void (*)(std::uint32_t*);

}  // namespace
}  // namespace fuseg

// Runs two blocks on `memory`, 96 words at 16 bytes and 16 more. 0 if all went well.
extern "C" [[gnu::visibility("default")]] int run(const char* name,
                                                  std::uint32_t* memory) {
  using namespace fuseg;
  const std::string given = name;
  try {
#define CASE(kernel) \
  if (given == #kernel) launch(#kernel, Kernel{kernel}, dim3(2), kThreads, 0, 0, memory)
    CASE(misaligned_load);
    CASE(misaligned_store);
    CASE(beyond_an_array);
    CASE(sum_of_what_nobody_wrote);
    CASE(neighbours_without_a_barrier);
    CASE(warps_without_a_barrier);
    CASE(mask_of_half_a_warp);
    CASE(mask_with_lanes_that_left);
    CASE(without_a_mistake);
#undef CASE
  } catch (const std::exception& error) {
    std::puts(error.what());
    return 1;
  }
  return 0;
}
