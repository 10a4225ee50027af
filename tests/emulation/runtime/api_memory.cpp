// The runtime API of memory and copies.
#include <cstring>
#include <memory>
#include <vector>

#include "tests/emulation/runtime/device.h"
#include "tests/emulation/runtime/memory.h"
#include "tests/emulation/runtime/reports.h"
#include "tests/emulation/runtime/runtime.h"
#include "tests/emulation/runtime/stream.h"

using namespace pgram::emulation;

namespace {

struct Copy {
  void* to = nullptr;
  const void* from = nullptr;
  uint64_t bytes = 0;
  bool to_device = false, from_device = false;
};

bool is_pinned(const void* pointer, uint64_t bytes) {
  return PinnedMemory::instance().contains(pointer, bytes);
}

/// Looks at direction and bounds; false with a report for what CUDA would refuse.
bool understand(Copy& copy, cudaMemcpyKind kind, const std::string& who) {
  copy.to_device = device_of_memory(copy.to) >= 0;
  copy.from_device = device_of_memory(copy.from) >= 0;
  const bool fits = kind == cudaMemcpyDefault ||
                    (kind == cudaMemcpyHostToDevice && copy.to_device && !copy.from_device) ||
                    (kind == cudaMemcpyDeviceToHost && !copy.to_device && copy.from_device) ||
                    (kind == cudaMemcpyDeviceToDevice && copy.to_device && copy.from_device) ||
                    (kind == cudaMemcpyHostToHost && !copy.to_device && !copy.from_device);
  if (!fits) {
    report("wrong direction: " + who + " between pointers of another kind than it was told");
    return false;
  }
  return (!copy.to_device || device_memory(copy.to, copy.bytes, who)) &&
         (!copy.from_device || device_memory(copy.from, copy.bytes, who));
}

/// False, with a report, if memory of the device was freed in the meantime.
bool carry_out(const Copy& copy, const std::string& who) {
  void* to = copy.to_device ? device_memory(copy.to, copy.bytes, who) : copy.to;
  const void* from = copy.from_device ? device_memory(copy.from, copy.bytes, who) : copy.from;
  if (!to || !from) return false;
  std::memmove(to, from, copy.bytes);
  return true;
}

/// CUDA's legacy default stream waits for all streams that are not "non-blocking".
void wait_for_blocking_streams(int device) {
  for (const auto& stream : streams_of_device(device))
    if (!(stream->flags & cudaStreamNonBlocking)) stream->wait_idle();
}

cudaError_t copy_now(Copy copy, cudaMemcpyKind kind, const char* who) {
  if (copy.bytes == 0) return cudaSuccess;
  if (!understand(copy, kind, who)) return remember(cudaErrorInvalidValue);
  wait_for_blocking_streams(current_device());
  if (const cudaError_t error = sticky_error(current_device())) return remember(error);
  return carry_out(copy, who) ? cudaSuccess : remember(cudaErrorInvalidValue);
}

cudaError_t copy_on_stream(Copy copy, cudaMemcpyKind kind, cudaStream_t stream, const std::string& call) {
  if (copy.bytes == 0) return cudaSuccess;
  const std::string who = call + of_task(current_task());
  if (!understand(copy, kind, who)) return remember(cudaErrorInvalidValue);
  const bool pageable_source = !copy.from_device && !is_pinned(copy.from, copy.bytes),
             pageable_target = !copy.to_device && !is_pinned(copy.to, copy.bytes);
  if (pageable_source || pageable_target)
    report("pageable: " + who + " of " + std::to_string(copy.bytes) + " bytes " + (pageable_source ? "from" : "to") +
           " host memory that is not pinned");
  // CUDA keeps a pageable source before the call returns, and fills a pageable target before it does.
  std::shared_ptr<std::vector<std::byte>> kept;
  if (pageable_source) {
    const auto* bytes = static_cast<const std::byte*>(copy.from);
    kept = std::make_shared<std::vector<std::byte>>(bytes, bytes + copy.bytes);
    copy.from = kept->data();
  }
  const bool pinned_source = !copy.from_device && !pageable_source, pinned_target = !copy.to_device && !pageable_target;
  const auto run = [copy, kept, who, pinned_source, pinned_target](Running& running) {
    if ((pinned_source && !is_pinned(copy.from, copy.bytes)) || (pinned_target && !is_pinned(copy.to, copy.bytes)))
      report("use after free: " + who + " of pinned memory that was freed before the copy was made");
    else if (!carry_out(copy, who))
      running.fail(cudaErrorIllegalAddress);
  };
  if (const cudaError_t error = enqueue(stream, {call, run, {}})) return remember(error);
  if (!pageable_target) return cudaSuccess;
  const auto used = stream_of(stream, who);
  used->wait_idle();
  return remember(sticky_error(used->device));
}

cudaError_t set_on_stream(void* pointer, int value, uint64_t bytes, cudaStream_t stream, const std::string& call) {
  if (bytes == 0) return cudaSuccess;
  const std::string who = call + of_task(current_task());
  if (!device_memory(pointer, bytes, who)) return remember(cudaErrorInvalidValue);
  return remember(enqueue(stream, {call,
                                   [=](Running& running) {
                                     if (std::byte* memory = device_memory(pointer, bytes, who))
                                       std::memset(memory, value, bytes);
                                     else
                                       running.fail(cudaErrorIllegalAddress);
                                   },
                                   {}}));
}

cudaError_t allocate_pinned(void** pointer, size_t bytes) {
  *pointer = bytes ? PinnedMemory::instance().allocate(bytes) : nullptr;
  return *pointer || bytes == 0 ? cudaSuccess : remember(cudaErrorMemoryAllocation);
}

}  // namespace

cudaError_t CUDARTAPI cudaMalloc(void** pointer, size_t bytes) {
  if (const cudaError_t error = begin_call("cudaMalloc")) return error;
  *pointer = bytes ? memory_of(current_device()).allocate(bytes) : nullptr;
  return *pointer || bytes == 0 ? cudaSuccess : remember(cudaErrorMemoryAllocation);
}

cudaError_t CUDARTAPI cudaFree(void* pointer) {
  if (const cudaError_t error = begin_call("cudaFree", false)) return error;
  if (!pointer) return cudaSuccess;
  const int device = device_of_memory(pointer);
  if (device < 0) {
    report("bad free: cudaFree of a pointer that is no device memory");
    return remember(cudaErrorInvalidValue);
  }
  wait_for_device(device);
  return memory_of(device).release(pointer) ? remember(sticky_error(device)) : remember(cudaErrorInvalidValue);
}

cudaError_t CUDARTAPI cudaMallocHost(void** pointer, size_t bytes) {
  if (const cudaError_t error = begin_call("cudaMallocHost")) return error;
  return allocate_pinned(pointer, bytes);
}

cudaError_t CUDARTAPI cudaHostAlloc(void** pointer, size_t bytes, unsigned flags) {
  if (const cudaError_t error = begin_call("cudaHostAlloc")) return error;
  if (flags & ~unsigned(cudaHostAllocPortable)) return remember(cudaErrorNotSupported);
  return allocate_pinned(pointer, bytes);
}

cudaError_t CUDARTAPI cudaFreeHost(void* pointer) {
  if (const cudaError_t error = begin_call("cudaFreeHost", false)) return error;
  return !pointer || PinnedMemory::instance().release(pointer) ? cudaSuccess : remember(cudaErrorInvalidValue);
}

cudaError_t CUDARTAPI cudaMemcpy(void* to, const void* from, size_t bytes, cudaMemcpyKind kind) {
  if (const cudaError_t error = begin_call("cudaMemcpy")) return error;
  return copy_now({to, from, bytes}, kind, "cudaMemcpy");
}

cudaError_t CUDARTAPI cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind kind,
                                      cudaStream_t stream) {
  if (const cudaError_t error = begin_call("cudaMemcpyAsync")) return error;
  return copy_on_stream({to, from, bytes}, kind, stream, "cudaMemcpyAsync");
}

cudaError_t CUDARTAPI cudaMemcpyPeer(void* to, int to_device, const void* from, int from_device, size_t bytes) {
  if (const cudaError_t error = begin_call("cudaMemcpyPeer")) return error;
  if (device_of_memory(to) != to_device || device_of_memory(from) != from_device)
    return remember(cudaErrorInvalidValue);
  return copy_now({to, from, bytes}, cudaMemcpyDeviceToDevice, "cudaMemcpyPeer");
}

cudaError_t CUDARTAPI cudaMemcpyPeerAsync(void* to, int to_device, const void* from, int from_device, size_t bytes,
                                          cudaStream_t stream) {
  if (const cudaError_t error = begin_call("cudaMemcpyPeerAsync")) return error;
  if (device_of_memory(to) != to_device || device_of_memory(from) != from_device)
    return remember(cudaErrorInvalidValue);
  return copy_on_stream({to, from, bytes}, cudaMemcpyDeviceToDevice, stream, "cudaMemcpyPeerAsync");
}

cudaError_t CUDARTAPI cudaMemset(void* pointer, int value, size_t bytes) {
  if (const cudaError_t error = begin_call("cudaMemset")) return error;
  return set_on_stream(pointer, value, bytes, nullptr, "cudaMemset");
}

cudaError_t CUDARTAPI cudaMemsetAsync(void* pointer, int value, size_t bytes, cudaStream_t stream) {
  if (const cudaError_t error = begin_call("cudaMemsetAsync")) return error;
  return set_on_stream(pointer, value, bytes, stream, "cudaMemsetAsync");
}

cudaError_t CUDARTAPI cudaPointerGetAttributes(cudaPointerAttributes* attributes, const void* pointer) {
  if (const cudaError_t error = begin_call("cudaPointerGetAttributes")) return error;
  *attributes = {};
  attributes->device = device_of_memory(pointer);
  attributes->type = attributes->device >= 0 ? cudaMemoryTypeDevice
                     : is_pinned(pointer, 1) ? cudaMemoryTypeHost
                                             : cudaMemoryTypeUnregistered;
  if (attributes->type == cudaMemoryTypeDevice) attributes->devicePointer = const_cast<void*>(pointer);
  if (attributes->type == cudaMemoryTypeHost) attributes->hostPointer = const_cast<void*>(pointer);
  return cudaSuccess;
}
