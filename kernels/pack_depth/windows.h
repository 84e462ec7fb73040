// Values picked out of a row at places that a table holds, for <kernel>_simd.cpp only:
// whole windows of the row are loaded and shuffled. A gather would load every value by
// itself.
//
// A vector of lanes is picked in `groups`; the lanes of a group come from one window of
// `parts` shuffles' reach, which begins `base` bytes into the row.
#pragma once

#include <cstdint>
#include <cstring>

#include "simd/simd.h"

namespace fuseg::FUSEG_LEVEL {

struct WindowShape {
  int groups;
  int parts;
};

constexpr int kVectorBytes = kLanes * 4;

// What a vector is to hold: an item at the bottom of every lane of 4 bytes; or one at
// the bottom of either word of the lane; and 0 in the other bytes.
enum class Fill { kLanes, kWords };

// Where items of `item` bytes go: the first of a lane, and the first of a word.
constexpr int lane_slot(int lane, int item) { return lane * (4 / item); }
constexpr int word_slot(int word, int item) { return word * (2 / item); }

#if defined(__AVX512VBMI__)

constexpr WindowShape kWindowShapes[] = {{1, 1}, {1, 2}, {2, 2}, {4, 2}, {8, 2}};
constexpr int kMostGroups = 8;
constexpr int kPartBytes = 64;
constexpr int kIndexParts = 1;  // a table has one vector, however many parts

inline void clear_index(std::uint8_t* index, int) {
  std::memset(index, 0, kVectorBytes);
}

// Item `slot` of the vector is to be item `place` of the window.
inline void set_index(std::uint8_t* index, int item, int slot, int place) {
  std::memcpy(index + slot * item, &place, static_cast<std::size_t>(item));
}

template <int item, Fill fill>
constexpr std::uint64_t kept_items(int groups, int group) {
  std::uint64_t kept = 0;
  for (int lane = group * kLanes / groups; lane < (group + 1) * kLanes / groups;
       ++lane) {
    kept |= std::uint64_t{1} << lane_slot(lane, item);
    if (fill == Fill::kWords) kept |= std::uint64_t{1} << word_slot(2 * lane + 1, item);
  }
  return kept;
}

template <int item>
inline Ints shuffled(std::uint64_t kept, Ints index, Ints a) {
  if constexpr (item == 1) return _mm512_maskz_permutexvar_epi8(kept, index, a);
  const auto words = static_cast<__mmask32>(kept);
  if constexpr (item == 2) return _mm512_maskz_permutexvar_epi16(words, index, a);
  return _mm512_maskz_permutexvar_epi32(static_cast<__mmask16>(kept), index, a);
}

template <int item>
inline Ints shuffled(std::uint64_t kept, Ints index, Ints a, Ints b) {
  if constexpr (item == 1) return _mm512_maskz_permutex2var_epi8(kept, a, index, b);
  const auto words = static_cast<__mmask32>(kept);
  if constexpr (item == 2) return _mm512_maskz_permutex2var_epi16(words, a, index, b);
  return _mm512_maskz_permutex2var_epi32(static_cast<__mmask16>(kept), a, index, b);
}

template <int item, Fill fill, int groups, int parts>
[[gnu::always_inline]] inline Ints pick(const char* row, const std::int32_t* base,
                                        const std::uint8_t* index) {
  const Ints places = _mm512_loadu_si512(index);
  Ints picked = _mm512_setzero_si512();
  for (int group = 0; group < groups; ++group) {
    const std::uint64_t kept = kept_items<item, fill>(groups, group);
    const char* window = row + base[group];
    const Ints low = _mm512_loadu_si512(window);
    Ints some;
    if constexpr (parts == 1) {
      some = shuffled<item>(kept, places, low);
    } else {
      some = shuffled<item>(kept, places, low, _mm512_loadu_si512(window + kPartBytes));
    }
    picked = group == 0 ? some : _mm512_or_si512(picked, some);
  }
  return picked;
}

#else  // shuffles of bytes inside 16 of them

constexpr int kPartBytes = 16;
constexpr int kIndexParts = 4;  // room for as many as the widest shape has
constexpr std::uint8_t kNoByte = 0x80;

inline void clear_index(std::uint8_t* index, int parts) {
  std::memset(index, kNoByte, static_cast<std::size_t>(parts) * kVectorBytes);
}

inline void set_index(std::uint8_t* index, int item, int slot, int place) {
  for (int byte = 0; byte < item; ++byte) {
    const int from = place * item + byte;
    index[from / kPartBytes * kVectorBytes + slot * item + byte] =
        static_cast<std::uint8_t>(from % kPartBytes);
  }
}

#if defined(__AVX2__)

constexpr WindowShape kWindowShapes[] = {{2, 1}, {2, 2}, {2, 4}};
constexpr int kMostGroups = 2;

template <int item, Fill fill, int groups, int parts>
[[gnu::always_inline]] inline Ints pick(const char* row, const std::int32_t* base,
                                        const std::uint8_t* index) {
  Ints picked = _mm256_setzero_si256();
  for (int part = 0; part < parts; ++part) {
    const auto half = [&](int group) {
      return reinterpret_cast<const __m128i*>(row + base[group] + part * kPartBytes);
    };
    const Ints window = _mm256_inserti128_si256(
        _mm256_castsi128_si256(_mm_loadu_si128(half(0))), _mm_loadu_si128(half(1)), 1);
    const Ints places = _mm256_loadu_si256(
        reinterpret_cast<const __m256i*>(index + part * kVectorBytes));
    const Ints some = _mm256_shuffle_epi8(window, places);
    picked = part == 0 ? some : _mm256_or_si256(picked, some);
  }
  return picked;
}

#else

constexpr WindowShape kWindowShapes[] = {{1, 1}, {1, 2}, {1, 4}};
constexpr int kMostGroups = 1;

#if defined(__SSE4_1__)

template <int item, Fill fill, int groups, int parts>
[[gnu::always_inline]] inline Ints pick(const char* row, const std::int32_t* base,
                                        const std::uint8_t* index) {
  Ints picked = _mm_setzero_si128();
  for (int part = 0; part < parts; ++part) {
    const auto sixteen = [](const void* from) {
      return _mm_loadu_si128(static_cast<const __m128i*>(from));
    };
    const Ints window = sixteen(row + base[0] + part * kPartBytes);
    const Ints some = _mm_shuffle_epi8(window, sixteen(index + part * kVectorBytes));
    picked = part == 0 ? some : _mm_or_si128(picked, some);
  }
  return picked;
}

#elif defined(__aarch64__)

template <int item, Fill fill, int groups, int parts>
[[gnu::always_inline]] inline Ints pick(const char* row, const std::int32_t* base,
                                        const std::uint8_t* index) {
  uint8x16_t picked = vdupq_n_u8(0);
  for (int part = 0; part < parts; ++part) {
    const auto* window =
        reinterpret_cast<const std::uint8_t*>(row + base[0] + part * kPartBytes);
    const uint8x16_t places = vld1q_u8(index + part * kVectorBytes);
    picked = vorrq_u8(picked, vqtbl1q_u8(vld1q_u8(window), places));
  }
  return vreinterpretq_s32_u8(picked);
}

#endif
#endif
#endif

}  // namespace fuseg::FUSEG_LEVEL
