#include "simd/level.h"

namespace fuseg {

Level widest_level() {
#if defined(FUSEG_X86_LEVELS)
  __builtin_cpu_init();  // this runs while the module is being loaded
  const auto all_of = [](auto... has) { return (has && ...); };
  if (!all_of(__builtin_cpu_supports("ssse3"), __builtin_cpu_supports("sse4.1"),
              __builtin_cpu_supports("sse4.2"), __builtin_cpu_supports("popcnt"))) {
    return Level::kPlain;
  }
  if (!all_of(__builtin_cpu_supports("avx2"), __builtin_cpu_supports("fma"),
              __builtin_cpu_supports("bmi2"))) {
    return Level::kSse4;
  }
  const bool avx512 = all_of(
      __builtin_cpu_supports("avx512f"), __builtin_cpu_supports("avx512bw"),
      __builtin_cpu_supports("avx512dq"), __builtin_cpu_supports("avx512vl"),
      __builtin_cpu_supports("avx512vbmi"), __builtin_cpu_supports("avx512vbmi2"),
      __builtin_cpu_supports("avx512vnni"));
  return avx512 ? Level::kAvx512 : Level::kAvx2;
#elif defined(__aarch64__)
  return Level::kNeon;
#else
  return Level::kPlain;
#endif
}

std::atomic<Level> level_in_use{widest_level()};

}  // namespace fuseg
