#include <string>

#include "cuda_backend/calibrate_transfers.h"

namespace pgram {
namespace {

/// Direct copies to the peer, while one lives; where the devices cannot, CUDA goes through the host.
class PeerAccess {
 public:
  explicit PeerAccess(int peer) : peer_(peer) {
    int device = 0, possible = 0;
    PGRAM_CHECK(cudaGetDevice(&device));
    PGRAM_CHECK(cudaDeviceCanAccessPeer(&possible, device, peer));
    if (!possible) return;
    const cudaError_t status = cudaDeviceEnablePeerAccess(peer, 0);
    if (status == cudaErrorPeerAccessAlreadyEnabled) {
      static_cast<void>(cudaGetLastError());
      return;
    }
    PGRAM_CHECK(status);
    enabled_ = true;
  }
  ~PeerAccess() {
    if (enabled_) static_cast<void>(cudaDeviceDisablePeerAccess(peer_));
  }
  PeerAccess(const PeerAccess&) = delete;
  PeerAccess& operator=(const PeerAccess&) = delete;

 private:
  const int peer_;
  bool enabled_ = false;
};

DeviceMemory memory_on(int device, Bytes bytes) {
  int before = 0;
  PGRAM_CHECK(cudaGetDevice(&before));
  use_device(device);
  try {
    DeviceMemory memory = make_device_memory(bytes);
    use_device(before);
    return memory;
  } catch (...) {
    static_cast<void>(cudaSetDevice(before));
    throw;
  }
}

}  // namespace

const char* name_of(CopyKind kind) {
  switch (kind) {
    case CopyKind::within_device:
      return "copy_device";
    case CopyKind::to_device:
      return "copy_to_device";
    case CopyKind::to_peer:
      return "copy_peer";
  }
  return "";
}

Seconds measure_copy(GpuTimer& timer, CopyKind kind, int peer, Bytes bytes, Seconds seconds) {
  int device = 0;
  PGRAM_CHECK(cudaGetDevice(&device));
  const DeviceMemory here = make_device_memory(bytes);
  const std::string name = std::string("calibrate ") + name_of(kind) + " " + std::to_string(bytes);
  if (kind == CopyKind::to_device) {
    const PinnedMemory host = make_pinned_memory(bytes);
    const auto copy = [&](uint32_t) {
      PGRAM_CHECK(cudaMemcpyAsync(here.get(), host.get(), bytes, cudaMemcpyHostToDevice, timer.stream()));
    };
    return timer.per_call(name, copy, seconds);
  }
  if (kind == CopyKind::within_device) {
    const DeviceMemory there = make_device_memory(bytes);
    const auto copy = [&](uint32_t) {
      PGRAM_CHECK(cudaMemcpyAsync(there.get(), here.get(), bytes, cudaMemcpyDeviceToDevice, timer.stream()));
    };
    return timer.per_call(name, copy, seconds);
  }
  const PeerAccess access(peer);
  const DeviceMemory there = memory_on(peer, bytes);
  const auto copy = [&](uint32_t) {
    PGRAM_CHECK(cudaMemcpyPeerAsync(there.get(), peer, here.get(), device, bytes, timer.stream()));
  };
  return timer.per_call(name, copy, seconds);
}

}  // namespace pgram
