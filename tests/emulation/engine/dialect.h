// The CUDA dialect as C++: put in front of every kernel source that g++ compiles (-include). What our kernels use of
// CUDA, no more; see kernel_abi.h for what stands behind it.
//
// A kernel's arguments must be trivially copyable. Pointers to device memory are translated before it runs, those
// inside structures too (ArgumentTranslator); pointers that lie in device memory are not: only the PTX engine can
// follow them.
#pragma once

// NVIDIA's host_defines.h keeps what is defined before it, where nvcc is not the compiler.
#define __global__
#define __device__
#define __host__
#define __shared__ static thread_local  // a block never leaves its worker
#define __constant__ static
#define __grid_constant__
#define __launch_bounds__(...)

#include <cuda_runtime.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <tuple>
#include <type_traits>
#include <utility>

#include "tests/emulation/engine/kernel_abi.h"

#undef __launch_bounds__
#define __launch_bounds__(...)
#define warpSize 32
#define PGRAM_SITE (::pgram::emulation::Site{__COUNTER__, __FILE__, __LINE__})
#define __syncthreads() (void)::pgram::emulation::block_barrier(false, PGRAM_SITE)
#define __syncthreads_count(predicate) ::pgram::emulation::block_barrier((predicate), PGRAM_SITE)
#define __syncthreads_or(predicate) int(::pgram::emulation::block_barrier((predicate), PGRAM_SITE) != 0)
#define __syncthreads_and(predicate) int(::pgram::emulation::block_barrier(!(predicate), PGRAM_SITE) == 0)
#define __syncwarp(...) (void)::pgram::emulation::warp_vote(::pgram::emulation::mask_of(__VA_ARGS__), false, PGRAM_SITE)
#define __ballot_sync(mask, predicate) ::pgram::emulation::warp_vote((mask), (predicate), PGRAM_SITE)
#define __any_sync(mask, predicate) int(::pgram::emulation::warp_vote((mask), (predicate), PGRAM_SITE) != 0)
#define __all_sync(mask, predicate) int(::pgram::emulation::warp_vote((mask), !(predicate), PGRAM_SITE) == 0)
#define __shfl_sync(mask, value, ...) ::pgram::emulation::shuffle_from(PGRAM_SITE, (mask), (value), __VA_ARGS__)
#define __shfl_xor_sync(mask, value, ...) ::pgram::emulation::shuffle_xor(PGRAM_SITE, (mask), (value), __VA_ARGS__)
#define __shfl_up_sync(mask, value, ...) ::pgram::emulation::shuffle_up(PGRAM_SITE, (mask), (value), __VA_ARGS__)
#define __shfl_down_sync(mask, value, ...) ::pgram::emulation::shuffle_down(PGRAM_SITE, (mask), (value), __VA_ARGS__)
#define __trap() ::pgram::emulation::device_trap(PGRAM_SITE)

namespace pgram::emulation {

constexpr unsigned mask_of(unsigned mask = 0xffffffffu) {
  return mask;
}

template <class T>
T exchange(Site site, unsigned mask, T value, unsigned source) {
  static_assert(sizeof(T) <= 16 && std::is_trivially_copyable_v<T>);
  T result;
  warp_exchange(mask, &value, &result, sizeof(T), source, site);
  return result;
}

// CUDA's four shuffles: which lane each lane reads. Out of its segment of `width` lanes, a lane reads itself.
template <class T>
T shuffle_from(Site site, unsigned mask, T value, int source, int width = 32) {
  const unsigned segment = lane() & ~unsigned(width - 1);
  return exchange(site, mask, value, segment + (unsigned(source) & unsigned(width - 1)));
}
template <class T>
T shuffle_xor(Site site, unsigned mask, T value, int with, int width = 32) {
  const unsigned source = lane() ^ unsigned(with);
  const unsigned end_of_segment = (lane() | unsigned(width - 1)) + 1;  // lower segments may be read, later ones not
  return exchange(site, mask, value, source < end_of_segment ? source : lane());
}
template <class T>
T shuffle_up(Site site, unsigned mask, T value, unsigned delta, int width = 32) {
  const unsigned segment = lane() & ~unsigned(width - 1);
  return exchange(site, mask, value, lane() >= segment + delta ? lane() - delta : lane());
}
template <class T>
T shuffle_down(Site site, unsigned mask, T value, unsigned delta, int width = 32) {
  const unsigned end_of_segment = (lane() | unsigned(width - 1)) + 1;
  return exchange(site, mask, value, lane() + delta < end_of_segment ? lane() + delta : lane());
}

/// Copies and translates the arguments of kernel(A...).
template <auto kernel, class... A>
Invocation bind(void (*)(A...), const void* const* arguments, ArgumentTranslator& translator) {
  static_assert((std::is_trivially_copyable_v<A> && ...), "arguments of kernels are copied as bytes");
  // The library's shared memory is allocated here, for the race checker: not by one CUDA thread unknown to the others.
  [[maybe_unused]] static thread_local volatile char first;
  first = 0;
  return [&]<size_t... I>(std::index_sequence<I...>)->Invocation {
    std::tuple<std::remove_cv_t<A>...> copies(*static_cast<const std::remove_cv_t<A>*>(arguments[I])...);
    (translator.translate(&std::get<I>(copies), sizeof(A), std::is_pointer_v<A>), ...);
    return [copies] { std::apply(kernel, copies); };
  }
  (std::index_sequence_for<A...>{});
}
template <class... A>
constexpr size_t sizes_of_arguments[] = {sizeof(A)..., 0};

template <auto kernel, class... A>
bool register_typed(void (*function)(A...)) {
  const Binder binder = [](const void* const* arguments, ArgumentTranslator& translator) {
    return bind<kernel>(kernel, arguments, translator);
  };
  return register_kernel(reinterpret_cast<const void*>(function), binder, sizes_of_arguments<A...>);
}

// Streams are threads: atomics of kernels are real ones.
template <class T, class Change>
T atomically(T* address, Change change) {
  T old, wanted;
  __atomic_load(address, &old, __ATOMIC_RELAXED);
  do wanted = change(old);
  while (!__atomic_compare_exchange(address, &old, &wanted, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
  return old;
}

}  // namespace pgram::emulation

namespace pgram::kernels {

template <auto kernel>
const bool registered = emulation::register_typed<kernel>(kernel);

}  // namespace pgram::kernels

using std::max;
using std::min;

template <class T>
T atomicAdd(T* address, std::type_identity_t<T> value) {
  return pgram::emulation::atomically(address, [=](T old) { return T(old + value); });
}
template <class T>
T atomicMax(T* address, std::type_identity_t<T> value) {
  return pgram::emulation::atomically(address, [=](T old) { return old < value ? value : old; });
}
template <class T>
T atomicMin(T* address, std::type_identity_t<T> value) {
  return pgram::emulation::atomically(address, [=](T old) { return value < old ? value : old; });
}
template <class T>
T atomicExch(T* address, std::type_identity_t<T> value) {
  return pgram::emulation::atomically(address, [=](T) { return value; });
}
template <class T>
T atomicCAS(T* address, std::type_identity_t<T> expected, std::type_identity_t<T> value) {
  return pgram::emulation::atomically(address, [=](T old) { return old == expected ? value : old; });
}

template <class T>
T __ldg(const T* address) {
  return *address;
}
inline void __threadfence() {
  __atomic_thread_fence(__ATOMIC_SEQ_CST);
}
inline void __threadfence_system() {
  __atomic_thread_fence(__ATOMIC_SEQ_CST);
}
inline void __threadfence_block() {}
inline float rsqrtf(float x) {
  return 1.0f / std::sqrt(x);
}
inline float __expf(float x) {
  return std::exp(x);
}
inline float __logf(float x) {
  return std::log(x);
}
inline float __fdividef(float a, float b) {
  return a / b;
}
inline float __fmaf_rn(float a, float b, float c) {
  return std::fma(a, b, c);
}
inline int __float_as_int(float x) {
  return __builtin_bit_cast(int, x);
}
inline unsigned __float_as_uint(float x) {
  return __builtin_bit_cast(unsigned, x);
}
inline float __int_as_float(int x) {
  return __builtin_bit_cast(float, x);
}
inline float __uint_as_float(unsigned x) {
  return __builtin_bit_cast(float, x);
}
inline int __popc(unsigned x) {
  return __builtin_popcount(x);
}
inline int __clz(int x) {
  return x ? __builtin_clz(unsigned(x)) : 32;
}
inline int __ffs(int x) {
  return __builtin_ffs(x);
}
