// How the fast kernels use the machine: one compiled copy per instruction set, ranges split over threads, scratch that
// grows once.
#pragma once
#include <omp.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>

// The program runs on any x86-64; these functions are compiled three times and chosen when the program starts. OpenMP
// regions stay outside of them, since their bodies would be compiled for the base set only. ThreadSanitizer's runtime
// is not up yet when the choice is made.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_THREAD__)
#define PGRAM_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define PGRAM_CLONES
#endif
#define PGRAM_INLINE inline __attribute__((always_inline))

namespace pgram {

/// Calls f(begin, end) for parts of [0, n), one part per thread, boundaries at multiples of `grain`. Less than two
/// grains of work stay on the calling thread.
template <class Function>
void parallel_for(int64_t n, int64_t grain, int threads, const Function& f) {
  const int64_t grains = (n + grain - 1) / grain, parts = std::min<int64_t>(threads, grains);
  if (parts <= 1) {
    f(int64_t{0}, n);
    return;
  }
  const int team = static_cast<int>(parts);
#pragma omp parallel num_threads(team)
  {
    const int64_t part = omp_get_thread_num(), of = omp_get_num_threads();
    const int64_t begin = grains * part / of * grain, end = std::min(n, grains * (part + 1) / of * grain);
    if (begin < end) f(begin, end);
  }
}

/// Rows per part so that a part is worth waking a thread for.
inline int64_t row_grain(int64_t width) {
  return std::max<int64_t>(1, 16384 / std::max<int64_t>(1, width));
}

/// Memory that is kept between kernels; contents are undefined. Use as a thread_local.
class Scratch {
 public:
  float* floats(size_t n) {
    if (n > size_) {
      data_.reset();
      data_.reset(static_cast<float*>(std::aligned_alloc(64, (n * sizeof(float) + 63) / 64 * 64)));
      if (!data_) throw std::bad_alloc();
      size_ = n;
    }
    return data_.get();
  }

 private:
  struct Free {
    void operator()(float* p) const { std::free(p); }
  };
  std::unique_ptr<float, Free> data_;
  size_t size_ = 0;
};

}  // namespace pgram
