// Arithmetic that the CPU and CUDA share is written once, and tested on the CPU. There
// it is always inlined: instruction sets share it too, and a copy that is made for one
// of them must not become everyone's.
#pragma once

#if defined(__CUDACC__)
#define FUSEG_BOTH __host__ __device__
#else
#define FUSEG_BOTH [[gnu::always_inline]]
#endif
