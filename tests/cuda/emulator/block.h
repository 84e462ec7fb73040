// One block of threads on the CPU. Every thread is a fiber that runs until it meets a
// barrier. Warps, and the lanes of a warp, take turns in a random order that is drawn
// anew at every barrier; what they share holds nonsense as the block begins.
#pragma once

#include <setjmp.h>
#include <ucontext.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <set>
#include <stdexcept>
#include <utility>
#include <vector>

// Tests look these up by their plain names. The same seed gives the same order.
extern "C" {
[[gnu::visibility("default")]] inline std::uint64_t fuseg_emulator_seed = 0;
[[gnu::visibility("default")]] inline std::uint64_t fuseg_emulator_blocks = 0;  // begun
// How often a warp loads through __ldg, and the 32 bytes at multiples of 32 that this
// touches: where `counting`, in kernels whose lanes do not part.
[[gnu::visibility("default")]] inline int fuseg_emulator_counting = 0;
[[gnu::visibility("default")]] inline std::uint64_t fuseg_emulator_loads = 0;
[[gnu::visibility("default")]] inline std::uint64_t fuseg_emulator_sectors = 0;
}

namespace fuseg {

struct Sizes {
  unsigned x = 1, y = 1, z = 1;
};
inline Sizes threadIdx, blockIdx, blockDim, gridDim;

namespace emulator {

enum class State { kReady, kAtWarp, kAtBlock, kDone };

constexpr std::size_t kStack = 128 << 10;
constexpr int kPoison = 0xA5;

struct Fiber {
  jmp_buf place;  // where it goes on
  std::unique_ptr<char[]> stack;
  State state;
  std::uint64_t slot;
  unsigned mask;  // the lanes that it waits for, kAtWarp
};

inline jmp_buf scheduler;
inline std::vector<Fiber> fibers;
inline std::function<void()> body;
alignas(128) inline std::uint8_t shared[256 << 10];

// Below `end`, by SplitMix64.
inline unsigned draw(unsigned end) {
  std::uint64_t bits = fuseg_emulator_seed += 0x9e3779b97f4a7c15;
  bits = (bits ^ bits >> 30) * 0xbf58476d1ce4e5b9;
  bits = (bits ^ bits >> 27) * 0x94d049bb133111eb;
  return static_cast<unsigned>((bits >> 32) * end >> 32);
}

// The numbers below `count`, in any order.
struct Order {
  unsigned at[32];
  explicit Order(unsigned count) {
    for (unsigned i = 0; i < count; ++i) {
      const unsigned k = draw(i + 1);
      at[i] = at[k];
      at[k] = i;
    }
  }
};

inline void stop(State state) {
  const unsigned self = threadIdx.x;
  fibers[self].state = state;
  if (_setjmp(fibers[self].place) == 0) _longjmp(scheduler, 1);
}

inline void meet_warp(unsigned mask) {
  fibers[threadIdx.x].mask = mask;
  stop(State::kAtWarp);
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

[[noreturn]] inline void fault(const char* what) {
  fibers.clear();
  throw std::logic_error(what);
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

// Each lane that meets there has to name exactly those that do.
inline void check_masks(unsigned first, unsigned end) {
  unsigned here = 0;
  for (unsigned i = first; i < end; ++i) {
    here |= unsigned{fibers[i].state == State::kAtWarp} << (i - first);
  }
  for (unsigned i = first; i < end; ++i) {
    if (fibers[i].state == State::kAtWarp && fibers[i].mask != here) {
      fault("a mask names other lanes than those that are there");
    }
  }
}

inline void run_warp(unsigned first, unsigned end) {
  do {
    const Order order(end - first);
    for (unsigned i = 0; i < end - first; ++i) {
      const unsigned thread = first + order.at[i];
      if (fibers[thread].state == State::kReady) resume(thread);
    }
    if (all(first, end, State::kAtWarp)) {
      check_masks(first, end);
      release(first, end);
    }
  } while (std::any_of(&fibers[first], &fibers[end - 1] + 1,
                       [](const Fiber& f) { return f.state == State::kReady; }));
  for (unsigned i = first; i < end; ++i) {
    if (fibers[i].state == State::kAtWarp) fault("a warp was torn");
  }
}

inline std::vector<std::uintptr_t> loaded[1024];  // by a thread of the block, in order

inline void count_loads(unsigned threads) {
  for (unsigned first = 0; first < threads; first += 32) {
    std::set<std::uintptr_t> sectors;
    for (std::size_t k = 0;; ++k) {
      sectors.clear();
      for (unsigned i = first; i < first + 32 && i < threads; ++i) {
        if (k < loaded[i].size()) sectors.insert(loaded[i][k] / 32);
      }
      if (sectors.empty()) break;
      ++fuseg_emulator_loads;
      fuseg_emulator_sectors += sectors.size();
    }
  }
  for (auto& own : loaded) own.clear();
}

inline void run_block(unsigned threads) {
  fibers.resize(std::max<std::size_t>(fibers.size(), threads));
  for (unsigned i = 0; i < threads; ++i) fibers[i].state = State::kReady;
  ++fuseg_emulator_blocks;
  const unsigned warps = (threads + 31) / 32;
  while (!all(0, threads, State::kDone)) {
    const Order order(warps);
    for (unsigned w = 0; w < warps; ++w) {
      const unsigned first = order.at[w] * 32;
      run_warp(first, std::min(first + 32, threads));
    }
    release(0, threads);
  }
  if (fuseg_emulator_counting != 0) count_loads(threads);
}

// What lane `from` of the warp gives. All lanes of `mask` must be here.
template <typename T>
T exchange(unsigned mask, T given, unsigned from) {
  static_assert(sizeof(T) <= 8);
  std::memcpy(&fibers[threadIdx.x].slot, &given, sizeof given);
  meet_warp(mask);
  T taken;
  std::memcpy(&taken, &fibers[threadIdx.x / 32 * 32 + from].slot, sizeof taken);
  meet_warp(mask);
  return taken;
}

// A bit of every lane of `mask`. All of them must be here.
inline unsigned votes(unsigned mask, bool yes) {
  fibers[threadIdx.x].slot = yes;
  meet_warp(mask);
  unsigned bits = 0;
  for (unsigned lane = 0; lane < 32; ++lane) {
    if (mask >> lane % 32 & 1) {
      bits |= static_cast<unsigned>(fibers[threadIdx.x / 32 * 32 + lane].slot) << lane;
    }
  }
  meet_warp(mask);
  return bits;
}

}  // namespace emulator
}  // namespace fuseg
