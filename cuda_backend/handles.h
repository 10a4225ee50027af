// Owners of what CUDA and cuBLAS hand out: streams, events, device and pinned memory, cuBLAS handles. Move-only;
// destructors never throw.
#pragma once
#include <cublas_v2.h>
#include <cuda_runtime.h>

#include <cstddef>
#include <cstdint>
#include <utility>

#include "cuda_backend/check.h"

namespace pgram {

/// Destroyed by `destroy`, whose status is of no use any more.
template <class T, auto destroy>
class Handle {
 public:
  Handle() = default;
  explicit Handle(T handle) : handle_(handle) {}
  Handle(Handle&& other) noexcept : handle_(other.release()) {}
  Handle& operator=(Handle&& other) noexcept {
    std::swap(handle_, other.handle_);
    return *this;
  }
  ~Handle() {
    if (handle_) static_cast<void>(destroy(handle_));
  }

  T get() const { return handle_; }
  /// Nobody owns it any more.
  T release() noexcept { return std::exchange(handle_, T{}); }
  explicit operator bool() const { return handle_ != T{}; }

 private:
  T handle_{};
};

using CudaStream = Handle<cudaStream_t, cudaStreamDestroy>;
using CudaEvent = Handle<cudaEvent_t, cudaEventDestroy>;
using BlasHandle = Handle<cublasHandle_t, cublasDestroy_v2>;
using DeviceMemory = Handle<void*, cudaFree>;
using PinnedMemory = Handle<void*, cudaFreeHost>;

/// The calling thread's current device, to which everything made here belongs.
inline void use_device(int device) {
  PGRAM_CHECK(cudaSetDevice(device));
}

/// Does not wait for the default stream. Lower numbers go first.
inline CudaStream make_stream(int priority) {
  cudaStream_t stream = nullptr;
  PGRAM_CHECK(cudaStreamCreateWithPriority(&stream, cudaStreamNonBlocking, priority));
  return CudaStream(stream);
}

enum class EventKind { order, timed };
inline CudaEvent make_event(EventKind kind) {
  cudaEvent_t event = nullptr;
  PGRAM_CHECK(cudaEventCreateWithFlags(&event, kind == EventKind::order ? cudaEventDisableTiming : cudaEventDefault));
  return CudaEvent(event);
}

inline DeviceMemory make_device_memory(uint64_t bytes) {
  void* memory = nullptr;
  PGRAM_CHECK(cudaMalloc(&memory, bytes));
  return DeviceMemory(memory);
}

inline PinnedMemory make_pinned_memory(uint64_t bytes) {
  void* memory = nullptr;
  PGRAM_CHECK(cudaMallocHost(&memory, bytes));
  return PinnedMemory(memory);
}

inline BlasHandle make_blas() {
  cublasHandle_t handle = nullptr;
  PGRAM_CHECK(cublasCreate(&handle));
  return BlasHandle(handle);
}

}  // namespace pgram
