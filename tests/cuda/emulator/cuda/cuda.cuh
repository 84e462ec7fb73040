// The twin of kernels/cuda/cuda.cuh and launch.cuh: the same kernels, one block after
// the other, on the CPU. Every thread of a block is a fiber that runs until it meets a
// barrier.
//
// Threads take turns in an order of their own in every block, and memory is the test's:
// a missing barrier shows as a wrong result, a stray access at a forbidden page.
#pragma once

#include <cuda_runtime_api.h>
#include <setjmp.h>
#include <ucontext.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "common/half.h"

#define __global__
#define __device__
#define __host__
#define __shared__ static
#define __grid_constant__
#define __forceinline__ inline
#define __launch_bounds__(...)

namespace fuseg {
using std::max;
using std::min;

struct Sizes {
  unsigned x = 1, y = 1, z = 1;
};
struct uint4 {
  std::uint32_t x, y, z, w;
};
struct alignas(16) float4 {
  float x, y, z, w;
};
inline uint4 make_uint4(std::uint32_t x, std::uint32_t y, std::uint32_t z,
                        std::uint32_t w) {
  return {x, y, z, w};
}
inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }

inline Sizes threadIdx, blockIdx, blockDim, gridDim;

namespace emulator {

enum class State { kReady, kAtWarp, kAtBlock, kDone };

constexpr std::size_t kStack = 128 << 10;

struct Fiber {
  jmp_buf place;  // where it goes on
  std::unique_ptr<char[]> stack;
  State state;
  std::uint64_t slot;
};

inline jmp_buf scheduler;
inline std::vector<Fiber> fibers;
inline std::function<void()> body;
alignas(128) inline std::uint8_t shared[256 << 10];

inline void stop(State state) {
  const unsigned self = threadIdx.x;
  fibers[self].state = state;
  if (_setjmp(fibers[self].place) == 0) _longjmp(scheduler, 1);
}

inline void enter() {
  for (;;) {  // it stays for the blocks to come
    body();
    stop(State::kDone);
  }
}

inline void resume(unsigned thread) {
  threadIdx = {thread, 0, 0};
  if (_setjmp(scheduler) != 0) return;
  Fiber& fiber = fibers[thread];
  if (fiber.stack) _longjmp(fiber.place, 1);  // unlike setcontext, no system call
  fiber.stack.reset(new char[kStack]);
  ucontext_t begin;
  getcontext(&begin);
  begin.uc_stack.ss_sp = fiber.stack.get();
  begin.uc_stack.ss_size = kStack;
  begin.uc_link = nullptr;
  makecontext(&begin, enter, 0);
  setcontext(&begin);
}

inline bool all(unsigned first, unsigned end, State state) {
  bool some = false;
  for (unsigned i = first; i < end; ++i) {
    some |= fibers[i].state == state;
    if (fibers[i].state != state && fibers[i].state != State::kDone) return false;
  }
  return some;
}

inline void release(unsigned first, unsigned end) {
  for (unsigned i = first; i < end; ++i) {
    if (fibers[i].state != State::kDone) fibers[i].state = State::kReady;
  }
}

inline void run_warp(unsigned first, unsigned end, bool backwards) {
  do {
    for (unsigned i = first; i < end; ++i) {
      const unsigned thread = backwards ? end - 1 - (i - first) : i;
      if (fibers[thread].state == State::kReady) resume(thread);
    }
    if (all(first, end, State::kAtWarp)) release(first, end);
  } while (std::any_of(&fibers[first], &fibers[end - 1] + 1,
                       [](const Fiber& f) { return f.state == State::kReady; }));
  for (unsigned i = first; i < end; ++i) {
    if (fibers[i].state != State::kAtWarp) continue;
    fibers.clear();
    throw std::logic_error("a warp was torn");
  }
}

inline void run_block(unsigned threads, unsigned order) {
  fibers.resize(std::max<std::size_t>(fibers.size(), threads));
  for (unsigned i = 0; i < threads; ++i) fibers[i].state = State::kReady;
  const unsigned warps = (threads + 31) / 32;
  while (!all(0, threads, State::kDone)) {
    for (unsigned w = 0; w < warps; ++w) {
      const unsigned first = (w + order) % warps * 32;
      run_warp(first, std::min(first + 32, threads), order % 2 == 1);
    }
    release(0, threads);
  }
}

// What lane `from` of the warp gives. All lanes of the warp must be here.
template <typename T>
T exchange(T given, unsigned from) {
  static_assert(sizeof(T) <= 8);
  std::memcpy(&fibers[threadIdx.x].slot, &given, sizeof given);
  stop(State::kAtWarp);
  T taken;
  std::memcpy(&taken, &fibers[threadIdx.x / 32 * 32 + from].slot, sizeof taken);
  stop(State::kAtWarp);
  return taken;
}

// A bit of every lane of the warp. All of them must be here.
inline unsigned votes(bool yes) {
  fibers[threadIdx.x].slot = yes;
  stop(State::kAtWarp);
  unsigned bits = 0;
  for (unsigned lane = 0; lane < 32; ++lane) {
    bits |= static_cast<unsigned>(fibers[threadIdx.x / 32 * 32 + lane].slot) << lane;
  }
  stop(State::kAtWarp);
  return bits;
}

}  // namespace emulator

template <typename T>
struct Exactly {
  using Type = T;
};

[[noreturn]] inline void refuse(const char* name, const char* why) {
  throw std::runtime_error(std::string(name) + " could not be launched: " + why);
}

template <typename... Taken>
void launch(const char* name, void (*kernel)(Taken...), dim3 blocks, unsigned threads,
            std::size_t shared_bytes, CUstream_st*,
            typename Exactly<Taken>::Type... taken) {
  if (blocks.x == 0 || blocks.y == 0 || blocks.z == 0 || blocks.y > 65535 ||
      blocks.z > 65535 || threads == 0 || threads > 1024 || shared_bytes > 48 << 10) {
    refuse(name, "its sizes are not a GPU's");
  }
  emulator::body = [&] { kernel(taken...); };
  blockDim = {threads, 1, 1};
  gridDim = {blocks.x, blocks.y, blocks.z};
  unsigned order = 0;
  for (unsigned z = 0; z < blocks.z; ++z) {
    for (unsigned y = 0; y < blocks.y; ++y) {
      for (unsigned x = 0; x < blocks.x; ++x) {
        blockIdx = {x, y, z};
        std::memset(emulator::shared, 0xA5, shared_bytes);
        emulator::run_block(threads, order++);
      }
    }
  }
}

inline void* shared_block() { return emulator::shared; }

inline void __syncthreads() { emulator::stop(emulator::State::kAtBlock); }
inline void __syncwarp() { emulator::stop(emulator::State::kAtWarp); }

template <typename T>
T __shfl_xor_sync(unsigned, T value, int mask) {
  return emulator::exchange(value, threadIdx.x % 32 ^ mask);
}
template <typename T>
T __shfl_sync(unsigned, T value, int lane) {
  return emulator::exchange(value, lane);
}
inline unsigned __ballot_sync(unsigned, bool yes) { return emulator::votes(yes); }

template <typename T, typename U>
T atomicAdd(T* at, U more) {
  const T before = *at;
  *at = before + static_cast<T>(more);
  return before;
}
template <typename T, typename U>
T atomicOr(T* at, U bits) {
  const T before = *at;
  *at = before | static_cast<T>(bits);
  return before;
}

template <typename T>
T __ldg(const T* from) {
  return *from;
}
inline int __ffs(int bits) { return __builtin_ffs(bits); }
inline int __clz(int bits) {
  return bits == 0 ? 32 : __builtin_clz(static_cast<unsigned>(bits));
}
inline int __popc(std::uint32_t bits) { return __builtin_popcount(bits); }
inline std::uint32_t __funnelshift_r(std::uint32_t low, std::uint32_t high, int shift) {
  return static_cast<std::uint32_t>(((std::uint64_t{high} << 32) | low) >>
                                    (shift & 31));
}
inline std::uint32_t __byte_perm(std::uint32_t low, std::uint32_t high,
                                 std::uint32_t selector) {
  const std::uint64_t bytes = (std::uint64_t{high} << 32) | low;
  std::uint32_t picked = 0;
  for (int i = 0; i < 4; ++i) {
    const unsigned byte = selector >> 4 * i & 7;
    picked |= static_cast<std::uint32_t>(bytes >> 8 * byte & 255) << 8 * i;
  }
  return picked;
}
inline float __expf(float x) { return std::exp(x); }

inline float float_of(Half half) { return to_float(half); }
inline float read(const float* from) { return *from; }
inline float read(const Half* from) { return to_float(*from); }
inline Half nearest_half(float value) { return to_half(value); }

}  // namespace fuseg
