// The runtime API of devices, versions and errors. Declared by NVIDIA's own header: a wrong signature does not compile.
#include <algorithm>
#include <cstdio>
#include <cstring>
#include <set>
#include <utility>

#include "tests/emulation/runtime/device.h"
#include "tests/emulation/runtime/memory.h"
#include "tests/emulation/runtime/peers.h"
#include "tests/emulation/runtime/runtime.h"
#include "tests/emulation/runtime/stream.h"

using namespace pgram::emulation;

namespace {

// What the stand-in says it is: sizes of an H100, which our launchers may ask for.
constexpr int kMultiprocessors = 132, kThreadsPerMultiprocessor = 2048;

cudaDeviceProp properties_of(int device) {
  cudaDeviceProp p{};
  std::snprintf(p.name, sizeof p.name, "%s", device_name(device).c_str());
  for (size_t i = 0; i < sizeof p.uuid.bytes; ++i) p.uuid.bytes[i] = char(i == 0 ? device + 1 : 0);
  p.totalGlobalMem = memory_capacity();
  p.sharedMemPerBlock = 48 << 10;
  p.sharedMemPerMultiprocessor = 228 << 10;
  p.sharedMemPerBlockOptin = 227 << 10;
  p.reservedSharedMemPerBlock = 1 << 10;
  p.regsPerBlock = p.regsPerMultiprocessor = 64 << 10;
  p.warpSize = 32;
  p.memPitch = 0x7fffffff;
  p.maxThreadsPerBlock = 1024;
  p.maxThreadsDim[0] = p.maxThreadsDim[1] = 1024;
  p.maxThreadsDim[2] = 64;
  p.maxGridSize[0] = 0x7fffffff;
  p.maxGridSize[1] = p.maxGridSize[2] = 65535;
  p.totalConstMem = 64 << 10;
  p.major = capability().major;
  p.minor = capability().minor;
  p.textureAlignment = 512;
  p.multiProcessorCount = kMultiprocessors;
  p.maxThreadsPerMultiProcessor = kThreadsPerMultiprocessor;
  p.maxBlocksPerMultiProcessor = 32;
  p.unifiedAddressing = 1;
  p.canMapHostMemory = 1;
  p.asyncEngineCount = 3;
  p.concurrentKernels = 1;
  p.streamPrioritiesSupported = 1;
  p.l2CacheSize = 50 << 20;
  p.memoryBusWidth = 5120;
  p.pciBusID = device + 1;
  return p;
}

bool attribute_of(int device, cudaDeviceAttr attribute, int& value) {
  const cudaDeviceProp p = properties_of(device);
  switch (attribute) {
    case cudaDevAttrMaxThreadsPerBlock:
      value = p.maxThreadsPerBlock;
      return true;
    case cudaDevAttrMaxSharedMemoryPerBlock:
      value = int(p.sharedMemPerBlock);
      return true;
    case cudaDevAttrMaxSharedMemoryPerBlockOptin:
      value = int(p.sharedMemPerBlockOptin);
      return true;
    case cudaDevAttrMaxSharedMemoryPerMultiprocessor:
      value = int(p.sharedMemPerMultiprocessor);
      return true;
    case cudaDevAttrWarpSize:
      value = p.warpSize;
      return true;
    case cudaDevAttrMultiProcessorCount:
      value = p.multiProcessorCount;
      return true;
    case cudaDevAttrMaxThreadsPerMultiProcessor:
      value = p.maxThreadsPerMultiProcessor;
      return true;
    case cudaDevAttrMaxBlocksPerMultiprocessor:
      value = p.maxBlocksPerMultiProcessor;
      return true;
    case cudaDevAttrMaxRegistersPerBlock:
      value = p.regsPerBlock;
      return true;
    case cudaDevAttrComputeCapabilityMajor:
      value = p.major;
      return true;
    case cudaDevAttrComputeCapabilityMinor:
      value = p.minor;
      return true;
    case cudaDevAttrPciBusId:
      value = p.pciBusID;
      return true;
    case cudaDevAttrPciDeviceId:
      value = p.pciDeviceID;
      return true;
    case cudaDevAttrPciDomainId:
      value = p.pciDomainID;
      return true;
    case cudaDevAttrL2CacheSize:
      value = p.l2CacheSize;
      return true;
    case cudaDevAttrClockRate:
      value = 1'980'000;
      return true;
    case cudaDevAttrMemoryClockRate:
      value = 2'619'000;
      return true;
    case cudaDevAttrGlobalMemoryBusWidth:
      value = p.memoryBusWidth;
      return true;
    case cudaDevAttrAsyncEngineCount:
      value = p.asyncEngineCount;
      return true;
    case cudaDevAttrUnifiedAddressing:
    case cudaDevAttrConcurrentKernels:
    case cudaDevAttrStreamPrioritiesSupported:
      value = 1;
      return true;
    case cudaDevAttrCooperativeLaunch:
    case cudaDevAttrIntegrated:
    case cudaDevAttrManagedMemory:
    case cudaDevAttrMemoryPoolsSupported:
      value = 0;
      return true;
    default:
      return false;
  }
}

bool is_device(int device) {
  return device >= 0 && device < device_count();
}

std::mutex peers_mutex;
std::set<std::pair<int, int>> peers;  // of the first, the second may be read and written

struct ErrorText {
  cudaError_t code;
  const char *name, *text;
};
constexpr ErrorText kErrors[] = {
    {cudaSuccess, "cudaSuccess", "no error"},
    {cudaErrorInvalidValue, "cudaErrorInvalidValue", "invalid argument"},
    {cudaErrorMemoryAllocation, "cudaErrorMemoryAllocation", "out of memory"},
    {cudaErrorInitializationError, "cudaErrorInitializationError", "initialization error"},
    {cudaErrorInvalidConfiguration, "cudaErrorInvalidConfiguration", "invalid configuration argument"},
    {cudaErrorInsufficientDriver, "cudaErrorInsufficientDriver",
     "CUDA driver version is insufficient for CUDA runtime version"},
    {cudaErrorInvalidDeviceFunction, "cudaErrorInvalidDeviceFunction", "invalid device function"},
    {cudaErrorNoDevice, "cudaErrorNoDevice", "no CUDA-capable device is detected"},
    {cudaErrorInvalidDevice, "cudaErrorInvalidDevice", "invalid device ordinal"},
    {cudaErrorNoKernelImageForDevice, "cudaErrorNoKernelImageForDevice",
     "no kernel image is available for execution on the device"},
    {cudaErrorECCUncorrectable, "cudaErrorECCUncorrectable", "uncorrectable ECC error encountered"},
    {cudaErrorInvalidPtx, "cudaErrorInvalidPtx", "a PTX JIT compilation failed"},
    {cudaErrorInvalidResourceHandle, "cudaErrorInvalidResourceHandle", "invalid resource handle"},
    {cudaErrorNotReady, "cudaErrorNotReady", "device not ready"},
    {cudaErrorIllegalAddress, "cudaErrorIllegalAddress", "an illegal memory access was encountered"},
    {cudaErrorLaunchOutOfResources, "cudaErrorLaunchOutOfResources", "too many resources requested for launch"},
    {cudaErrorLaunchTimeout, "cudaErrorLaunchTimeout", "the launch timed out and was terminated"},
    {cudaErrorPeerAccessAlreadyEnabled, "cudaErrorPeerAccessAlreadyEnabled", "peer access is already enabled"},
    {cudaErrorPeerAccessNotEnabled, "cudaErrorPeerAccessNotEnabled", "peer access has not been enabled"},
    {cudaErrorAssert, "cudaErrorAssert", "device-side assert triggered"},
    {cudaErrorLaunchFailure, "cudaErrorLaunchFailure", "unspecified launch failure"},
    {cudaErrorNotPermitted, "cudaErrorNotPermitted", "operation not permitted"},
    {cudaErrorNotSupported, "cudaErrorNotSupported", "operation not supported"},
    {cudaErrorSystemNotReady, "cudaErrorSystemNotReady", "system not yet initialized"},
    {cudaErrorUnknown, "cudaErrorUnknown", "unknown error"},
};

const ErrorText* text_of(cudaError_t code) {
  const auto* found =
      std::find_if(std::begin(kErrors), std::end(kErrors), [&](const ErrorText& e) { return e.code == code; });
  return found == std::end(kErrors) ? nullptr : found;
}

}  // namespace

bool pgram::emulation::may_reach(int device, int peer) {
  const std::lock_guard lock(peers_mutex);
  return device == peer || peers.contains({device, peer});
}

cudaError_t CUDARTAPI cudaGetDeviceCount(int* count) {
  if (const cudaError_t error = begin_call("cudaGetDeviceCount", false)) return error;
  *count = device_count();
  return *count ? cudaSuccess : remember(cudaErrorNoDevice);
}

cudaError_t CUDARTAPI cudaSetDevice(int device) {
  if (const cudaError_t error = begin_call("cudaSetDevice", false)) return error;
  if (!is_device(device)) return remember(cudaErrorInvalidDevice);
  set_current_device(device);
  return remember(sticky_error(device));
}

cudaError_t CUDARTAPI cudaGetDevice(int* device) {
  if (const cudaError_t error = begin_call("cudaGetDevice", false)) return error;
  *device = current_device();
  return cudaSuccess;
}

cudaError_t CUDARTAPI cudaGetDeviceProperties(cudaDeviceProp* properties, int device) {
  if (const cudaError_t error = begin_call("cudaGetDeviceProperties", false)) return error;
  if (!is_device(device)) return remember(cudaErrorInvalidDevice);
  *properties = properties_of(device);
  return cudaSuccess;
}

cudaError_t CUDARTAPI cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int device) {
  if (const cudaError_t error = begin_call("cudaDeviceGetAttribute", false)) return error;
  if (!is_device(device)) return remember(cudaErrorInvalidDevice);
  return attribute_of(device, attribute, *value) ? cudaSuccess : remember(cudaErrorInvalidValue);
}

cudaError_t CUDARTAPI cudaDeviceGetPCIBusId(char* text, int bytes, int device) {
  if (const cudaError_t error = begin_call("cudaDeviceGetPCIBusId", false)) return error;
  if (!is_device(device)) return remember(cudaErrorInvalidDevice);
  std::snprintf(text, size_t(bytes), "0000:%02X:00.0", device + 1);
  return cudaSuccess;
}

cudaError_t CUDARTAPI cudaDriverGetVersion(int* version) {
  if (const cudaError_t error = begin_call("cudaDriverGetVersion", false)) return error;
  *version = CUDART_VERSION;
  return cudaSuccess;
}

cudaError_t CUDARTAPI cudaRuntimeGetVersion(int* version) {
  if (const cudaError_t error = begin_call("cudaRuntimeGetVersion", false)) return error;
  *version = CUDART_VERSION;
  return cudaSuccess;
}

cudaError_t CUDARTAPI cudaMemGetInfo(size_t* free, size_t* total) {
  if (const cudaError_t error = begin_call("cudaMemGetInfo")) return error;
  *total = memory_capacity();
  *free = *total - std::min<size_t>(*total, memory_of(current_device()).used());
  return cudaSuccess;
}

cudaError_t CUDARTAPI cudaDeviceSynchronize() {
  if (const cudaError_t error = begin_call("cudaDeviceSynchronize")) return error;
  wait_for_device(current_device());
  memory_of(current_device()).check_all_red_zones("somebody, found at cudaDeviceSynchronize,");
  return remember(sticky_error(current_device()));
}

/// Ends nothing here: what is still alive is the caller's to free, and its errors stay.
cudaError_t CUDARTAPI cudaDeviceReset() {
  if (const cudaError_t error = begin_call("cudaDeviceReset", false)) return error;
  wait_for_device(current_device());
  return remember(sticky_error(current_device()));
}

cudaError_t CUDARTAPI cudaDeviceCanAccessPeer(int* can, int device, int peer) {
  if (const cudaError_t error = begin_call("cudaDeviceCanAccessPeer", false)) return error;
  if (!is_device(device) || !is_device(peer)) return remember(cudaErrorInvalidDevice);
  *can = device != peer;
  return cudaSuccess;
}

cudaError_t CUDARTAPI cudaDeviceEnablePeerAccess(int peer, unsigned flags) {
  if (const cudaError_t error = begin_call("cudaDeviceEnablePeerAccess")) return error;
  if (flags) return remember(cudaErrorInvalidValue);
  if (!is_device(peer) || peer == current_device()) return remember(cudaErrorInvalidDevice);
  const std::lock_guard lock(peers_mutex);
  return peers.insert({current_device(), peer}).second ? cudaSuccess : remember(cudaErrorPeerAccessAlreadyEnabled);
}

cudaError_t CUDARTAPI cudaDeviceDisablePeerAccess(int peer) {
  if (const cudaError_t error = begin_call("cudaDeviceDisablePeerAccess")) return error;
  const std::lock_guard lock(peers_mutex);
  return peers.erase({current_device(), peer}) ? cudaSuccess : remember(cudaErrorPeerAccessNotEnabled);
}

cudaError_t CUDARTAPI cudaGetLastError() {
  if (const int planned = enter("cudaGetLastError")) return cudaError_t(planned);
  return take_last_error();
}

cudaError_t CUDARTAPI cudaPeekAtLastError() {
  if (const int planned = enter("cudaPeekAtLastError")) return cudaError_t(planned);
  return last_error();
}

const char* CUDARTAPI cudaGetErrorName(cudaError_t error) {
  const ErrorText* found = text_of(error);
  return found ? found->name : "unrecognized error code";
}

const char* CUDARTAPI cudaGetErrorString(cudaError_t error) {
  const ErrorText* found = text_of(error);
  return found ? found->text : "unrecognized error code";
}
