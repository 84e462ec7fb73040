// Arithmetic that the CPU and CUDA share is written once, and tested on the CPU.
#pragma once

#if defined(__CUDACC__)
#define FUSEG_BOTH __host__ __device__
#else
#define FUSEG_BOTH
#endif
