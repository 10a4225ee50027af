// Devices and their errors, see device.h.
#include "tests/emulation/runtime/device.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdlib>
#include <sstream>
#include <utility>
#include <vector>

#include "tests/emulation/runtime/runtime.h"

namespace pgram::emulation {
namespace {

uint64_t environment(const char* name, uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text ? std::strtoull(text, nullptr, 10) : otherwise;
}

std::atomic<int>& count() {
  static std::atomic<int> value{std::min(int(environment("PGRAM_EMULATION_DEVICES", 8)), kMaxDevices)};
  return value;
}

std::atomic<uint64_t>& capacity() {
  static std::atomic<uint64_t> value{environment("PGRAM_EMULATION_MEMORY", uint64_t(1) << 30)};
  return value;
}

std::atomic<Capability> compute_capability{Capability{}};

std::vector<std::string> names_of_environment() {
  std::vector<std::string> names;
  if (const char* text = std::getenv("PGRAM_EMULATION_NAMES")) {
    std::istringstream in(text);
    for (std::string name; std::getline(in, name, ',');) names.push_back(name);
  }
  if (names.empty()) names.push_back("Stand-in GPU");
  return names;
}

std::array<std::atomic<int>, kMaxDevices> sticky_errors{};
thread_local int current = 0;
thread_local cudaError_t last = cudaSuccess;

}  // namespace

int device_count() {
  return count();
}
void set_device_count(int n) {
  count() = std::clamp(n, 0, kMaxDevices);
}
uint64_t memory_capacity() {
  return capacity();
}
void set_memory_capacity(uint64_t bytes) {
  capacity() = bytes;
}

Capability capability() {
  return compute_capability;
}
void set_capability(int major, int minor) {
  compute_capability = {major, minor};
}

std::string device_name(int device) {
  static const std::vector<std::string> names = names_of_environment();
  return names[std::min(size_t(device), names.size() - 1)];
}

int current_device() {
  return current;
}
void set_current_device(int device) {
  current = device;
}
OnDevice::OnDevice(int device) : before_(std::exchange(current, device)) {}
OnDevice::~OnDevice() {
  current = before_;
}

cudaError_t sticky_error(int device) {
  return cudaError_t(sticky_errors[size_t(device)].load());
}

void fail_device(int device, cudaError_t error) {
  int none = cudaSuccess;
  sticky_errors[size_t(device)].compare_exchange_strong(none, error);
}

void reset_errors() {
  for (std::atomic<int>& error : sticky_errors) error = cudaSuccess;
  last = cudaSuccess;
}

cudaError_t begin_call(const char* call, bool device_errors) {
  if (const int planned = enter(call)) return remember(cudaError_t(planned));
  return device_errors ? remember(sticky_error(current)) : cudaSuccess;
}

cudaError_t remember(cudaError_t error) {
  if (error != cudaSuccess) last = error;
  return error;
}

cudaError_t last_error() {
  return last;
}

cudaError_t take_last_error() {
  const cudaError_t error = last;
  last = sticky_error(current);
  return error;
}

}  // namespace pgram::emulation
