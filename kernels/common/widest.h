// One loop, several machine codes: the same C++ compiled for the instruction sets a
// desktop may have, the widest one the processor offers chosen as it runs.
//
// All of them give the same bits: products and sums are never contracted (CMakeLists)
// and no floating-point sum is reordered. tests/kernels/test_clones.py holds us to it.
#pragma once

#include "common/level.h"

namespace fuseg {

#if defined(FUSEG_X86_LEVELS)
#define FUSEG_CLONE(level) __attribute__((target("arch=x86-64-v" #level), flatten))

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
template <typename Body>
void run_v4(const Body& body) {
  body();
}

template <typename Body>
void run_v3(const Body& body) {
  body();
}
#endif

// Runs `body`, a callable without arguments, in the code for this processor. Everything
// it calls must be inline and in sight, or that part stays plain.
template <typename Body>
void run_widest(const Body& body) {
  switch (level()) {
    case Level::kAvx512:
      return run_v4(body);
    case Level::kAvx2:
      return run_v3(body);
    default:
      return body();
  }
}

}  // namespace fuseg
