// What the stand-in tells AddressSanitizer of device memory.
#pragma once
#include <cstddef>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#endif

namespace pgram::emulation {

#if defined(__SANITIZE_ADDRESS__)
constexpr bool kMemoryIsPoisoned = true;
inline void make_accessible(const void* memory, size_t bytes) {
  __asan_unpoison_memory_region(memory, bytes);
}
inline void make_inaccessible(const void* memory, size_t bytes) {
  __asan_poison_memory_region(memory, bytes);
}
#else
constexpr bool kMemoryIsPoisoned = false;
inline void make_accessible(const void*, size_t) {}
inline void make_inaccessible(const void*, size_t) {}
#endif

}  // namespace pgram::emulation
