// The devices of the stand-in: how many and how large they are, which one a thread uses, what error each is in.
#pragma once
#include <cuda_runtime.h>

#include <cstdint>
#include <string>

namespace pgram::emulation {

constexpr int kMaxDevices = 32;

int device_count();
void set_device_count(int);
uint64_t memory_capacity();
void set_memory_capacity(uint64_t bytes_per_device);
struct Capability {
  int major = 9, minor = 0;
};
Capability capability();
void set_capability(int major, int minor);
std::string device_name(int device);
void set_current_device(int device);

/// A device that did what it must not stays in that error until reset_errors(): every later call returns it.
cudaError_t sticky_error(int device);
void fail_device(int device, cudaError_t);
void reset_errors();

/// First line of the runtime's functions: counts the call; the error that is planned for it or in which the current
/// device is. `device_errors` false: only planned ones, for calls that ask nothing of a device.
cudaError_t begin_call(const char* call, bool device_errors = true);
/// Keeps an error for cudaGetLastError.
cudaError_t remember(cudaError_t);
cudaError_t take_last_error();
cudaError_t last_error();

}  // namespace pgram::emulation
