// The emulator's twin of NVTX: no profiler ever listens.
#pragma once

inline int nvtxRangePushA(const char*) { return 0; }
inline int nvtxRangePop() { return 0; }
