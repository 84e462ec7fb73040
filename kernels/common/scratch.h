// Cuts one block of caller's memory into the buffers a kernel needs.
#pragma once

#include <cstdint>

namespace fuseg {

// Run once over address 0 it measures, run again over the block it hands out: the
// size asked for and the buffers used cannot drift apart.
class Scratch {
 public:
  [[gnu::always_inline]] explicit Scratch(void* block)
      : next_(reinterpret_cast<std::uintptr_t>(block)) {}

  template <typename T>
  [[gnu::always_inline]] T* take(std::int64_t count) {
    next_ = (next_ + kLine - 1) / kLine * kLine;
    T* buffer = reinterpret_cast<T*>(next_);
    next_ += static_cast<std::uintptr_t>(count) * sizeof(T);
    return buffer;
  }

  // Meaningful over address 0 only; a block may start anywhere, hence one line more.
  [[gnu::always_inline]] std::int64_t bytes() const {
    return static_cast<std::int64_t>(next_ + kLine);
  }

 private:
  static constexpr std::uintptr_t kLine = 64;
  std::uintptr_t next_;
};

}  // namespace fuseg
