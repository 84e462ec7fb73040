// One element beyond the end, in the ways that a kernel of ours could get there.
// test_fence.py builds this and calls each in a process that may die.
#include <immintrin.h>

extern "C" {

float plain_read(const float* a, int n) {
  float sum = 0;
  for (int i = 0; i <= n; ++i) sum += a[i];
  return sum;
}

void plain_write(float* a, int n) { a[n] = 1.0f; }

float read_before(const float* a, int) { return a[-1]; }

// The mask lets one element too many through; n is below 8.
__attribute__((target("avx2"))) float masked_read(const float* a, int n) {
  const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
  const __m256i mask = _mm256_cmpgt_epi32(_mm256_set1_epi32(n + 1), lane);
  return _mm256_cvtss_f32(_mm256_maskload_ps(a, mask));
}

__attribute__((target("avx2"))) void masked_write(float* a, int n) {
  const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
  const __m256i mask = _mm256_cmpgt_epi32(_mm256_set1_epi32(n + 1), lane);
  _mm256_maskstore_ps(a, mask, _mm256_set1_ps(1.0f));
}

__attribute__((target("avx2"))) float gather(const float* a, int n) {
  const __m256i index = _mm256_setr_epi32(0, n, 0, 0, 0, 0, 0, 0);
  return _mm256_cvtss_f32(
      _mm256_permutevar8x32_ps(_mm256_i32gather_ps(a, index, 4), _mm256_set1_epi32(1)));
}

// The same with nothing wrong: a masked access next to the edge is allowed.
__attribute__((target("avx2"))) float masked_read_within(const float* a, int n) {
  return masked_read(a, n - 1);
}
}
