// Which instruction set the kernels run on: one decision, made here, as the process
// starts.
//
// A kernel is written twice: <kernel>_cpu.cpp in plain C++, which every machine can run
// and which is the reference, and <kernel>_simd.cpp, which CMake compiles once per
// level into a namespace of its own.
#pragma once

#include <atomic>

namespace fuseg {

enum class Level {
  kPlain = 0,
  kNeon = 1,    // every aarch64
  kSse4 = 2,    // x86-64-v2: SSE4.2; since Nehalem, Silvermont and Bulldozer
  kAvx2 = 3,    // x86-64-v3: AVX2, FMA, F16C; since Haswell and Zen
  kAvx512 = 4,  // x86-64-v4 with VBMI, VBMI2 and VNNI; since Ice Lake and Zen 4
};

// Those that this compiler made, the widest last.
#if defined(FUSEG_X86_LEVELS)
constexpr Level kLevels[] = {Level::kPlain, Level::kSse4, Level::kAvx2, Level::kAvx512};
#elif defined(__aarch64__)
constexpr Level kLevels[] = {Level::kPlain, Level::kNeon};
#else
constexpr Level kLevels[] = {Level::kPlain};
#endif

// The widest of them that this processor has.
Level widest_level();

// Lowered by tests and by whoever looks for a faulty level; never by an op. It lives in
// level.cpp, as what runs while the module is being loaded must be plain code.
extern std::atomic<Level> level_in_use;

inline Level level() { return level_in_use.load(std::memory_order_relaxed); }

}  // namespace fuseg

// FUSEG_SIMD(void kernel_simd(const Kernel& job)) declares the function at every level
// that was compiled; FUSEG_PICK(kernel) is the best of them, or kernel_cpu.
#if defined(FUSEG_X86_LEVELS)
#define FUSEG_SIMD(...) \
  namespace sse4 {      \
  __VA_ARGS__;          \
  }                     \
  namespace avx2 {      \
  __VA_ARGS__;          \
  }                     \
  namespace avx512 {    \
  __VA_ARGS__;          \
  }
#define FUSEG_PICK(kernel)                                             \
  (::fuseg::level() >= ::fuseg::Level::kAvx512 ? avx512::kernel##_simd \
   : ::fuseg::level() >= ::fuseg::Level::kAvx2 ? avx2::kernel##_simd   \
   : ::fuseg::level() >= ::fuseg::Level::kSse4 ? sse4::kernel##_simd   \
                                               : kernel##_cpu)
#elif defined(__aarch64__)
#define FUSEG_SIMD(...) \
  namespace neon {      \
  __VA_ARGS__;          \
  }
#define FUSEG_PICK(kernel) \
  (::fuseg::level() == ::fuseg::Level::kPlain ? kernel##_cpu : neon::kernel##_simd)
#else
#define FUSEG_SIMD(...)
#define FUSEG_PICK(kernel) kernel##_cpu
#endif
