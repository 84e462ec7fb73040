// One loop, several machine codes: the same C++ compiled for the instruction sets a
// desktop may have, the widest one the processor offers chosen as it runs.
//
// All of them give the same bits: products and sums are never contracted (CMakeLists)
// and no floating-point sum is reordered. tests/kernels/test_clones.py holds us to it.
#pragma once

#include <atomic>

namespace fuseg {

// 0 = what the compiler was told to assume, 3 and 4 = x86-64-v3 (AVX2), -v4 (AVX-512).
#if defined(__x86_64__) && defined(__GNUC__) && __GNUC__ >= 12
#define FUSEG_CLONE(level) __attribute__((target("arch=x86-64-v" #level), flatten))

inline int widest_level() {
  __builtin_cpu_init();  // this runs while the module is being loaded
  if (__builtin_cpu_supports("x86-64-v4")) return 4;
  if (__builtin_cpu_supports("x86-64-v3")) return 3;
  return 0;
}

template <typename Body>
FUSEG_CLONE(4)
void run_v4(const Body& body) {
  body();
}

template <typename Body>
FUSEG_CLONE(3)
void run_v3(const Body& body) {
  body();
}
#else
inline int widest_level() { return 0; }

template <typename Body>
void run_v4(const Body& body) {
  body();
}

template <typename Body>
void run_v3(const Body& body) {
  body();
}
#endif

// Lowered by tests and by whoever looks for a faulty clone; never by an op.
inline std::atomic<int> level_in_use{widest_level()};

// Runs `body`, a callable without arguments, in the code for this processor. Everything
// it calls must be inline and in sight, or that part stays plain.
template <typename Body>
void run_widest(const Body& body) {
  switch (level_in_use.load(std::memory_order_relaxed)) {
    case 4:
      return run_v4(body);
    case 3:
      return run_v3(body);
    default:
      return body();
  }
}

}  // namespace fuseg
