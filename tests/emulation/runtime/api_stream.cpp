// The runtime API of streams and events.
#include <utility>

#include "tests/emulation/runtime/device.h"
#include "tests/emulation/runtime/event.h"
#include "tests/emulation/runtime/reports.h"
#include "tests/emulation/runtime/runtime.h"
#include "tests/emulation/runtime/stream.h"

using namespace pgram::emulation;

namespace {

/// The stream for an operation of this name; with a report for the default stream.
std::shared_ptr<Stream> used_stream(cudaStream_t handle, const std::string& who) {
  if (is_default(handle)) report("default stream: " + who + of_task(current_task()) + " was put on the default stream");
  return stream_of(handle, who);
}

/// What costs no virtual time and is done even when the device is in error.
void submit(Stream& stream, const char* name, std::function<void(Stream&)> run) {
  Item item;
  item.name = name;
  item.task.name = current_task();
  item.run = [run = std::move(run)](Stream& on, const Item&) { run(on); };
  stream.submit(std::move(item));
}

}  // namespace

cudaError_t CUDARTAPI cudaStreamCreate(cudaStream_t* stream) {
  if (const cudaError_t error = begin_call("cudaStreamCreate")) return error;
  return create_stream(stream, cudaStreamDefault, 0);
}

cudaError_t CUDARTAPI cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned flags) {
  if (const cudaError_t error = begin_call("cudaStreamCreateWithFlags")) return error;
  if (flags & ~unsigned(cudaStreamNonBlocking)) return remember(cudaErrorInvalidValue);
  return create_stream(stream, flags, 0);
}

cudaError_t CUDARTAPI cudaStreamCreateWithPriority(cudaStream_t* stream, unsigned flags, int priority) {
  if (const cudaError_t error = begin_call("cudaStreamCreateWithPriority")) return error;
  if (flags & ~unsigned(cudaStreamNonBlocking)) return remember(cudaErrorInvalidValue);
  return create_stream(stream, flags, priority);
}

cudaError_t CUDARTAPI cudaDeviceGetStreamPriorityRange(int* least, int* greatest) {
  if (const cudaError_t error = begin_call("cudaDeviceGetStreamPriorityRange")) return error;
  if (least) *least = kLeastPriority;
  if (greatest) *greatest = kGreatestPriority;
  return cudaSuccess;
}

cudaError_t CUDARTAPI cudaStreamGetPriority(cudaStream_t handle, int* priority) {
  if (const cudaError_t error = begin_call("cudaStreamGetPriority")) return error;
  const auto stream = stream_of(handle, "cudaStreamGetPriority");
  if (!stream) return remember(cudaErrorInvalidResourceHandle);
  *priority = stream->priority;
  return cudaSuccess;
}

cudaError_t CUDARTAPI cudaStreamGetFlags(cudaStream_t handle, unsigned* flags) {
  if (const cudaError_t error = begin_call("cudaStreamGetFlags")) return error;
  const auto stream = stream_of(handle, "cudaStreamGetFlags");
  if (!stream) return remember(cudaErrorInvalidResourceHandle);
  *flags = stream->flags;
  return cudaSuccess;
}

cudaError_t CUDARTAPI cudaStreamDestroy(cudaStream_t handle) {
  if (const cudaError_t error = begin_call("cudaStreamDestroy", false)) return error;
  return destroy_stream(handle) ? cudaSuccess : remember(cudaErrorInvalidResourceHandle);
}

cudaError_t CUDARTAPI cudaStreamQuery(cudaStream_t handle) {
  if (const cudaError_t error = begin_call("cudaStreamQuery")) return error;
  const auto stream = stream_of(handle, "cudaStreamQuery");
  if (!stream) return remember(cudaErrorInvalidResourceHandle);
  if (const cudaError_t error = sticky_error(stream->device)) return remember(error);
  return stream->is_idle() ? cudaSuccess : cudaErrorNotReady;
}

cudaError_t CUDARTAPI cudaStreamSynchronize(cudaStream_t handle) {
  if (const cudaError_t error = begin_call("cudaStreamSynchronize")) return error;
  const auto stream = stream_of(handle, "cudaStreamSynchronize");
  if (!stream) return remember(cudaErrorInvalidResourceHandle);
  stream->wait_idle();
  return remember(sticky_error(stream->device));
}

cudaError_t CUDARTAPI cudaStreamWaitEvent(cudaStream_t handle, cudaEvent_t event_handle, unsigned flags) {
  if (const cudaError_t error = begin_call("cudaStreamWaitEvent")) return error;
  if (flags != cudaEventWaitDefault) return remember(cudaErrorInvalidValue);
  const auto stream = used_stream(handle, "cudaStreamWaitEvent");
  const auto event = event_of(event_handle, "cudaStreamWaitEvent");
  if (!stream || !event) return remember(cudaErrorInvalidResourceHandle);
  std::shared_ptr<Recording> recording = event->take_latest();
  if (!recording) {  // CUDA takes it for done, so that nothing is waited for
    report("wait on an event never recorded: cudaStreamWaitEvent on " + stream->name() + of_task(current_task()));
    return cudaSuccess;
  }
  submit(*stream, "cudaStreamWaitEvent", [recording](Stream& on) {
    if (!recording->is_done()) {
      on.set_waiting("the event recorded by " + recording->who());
      recording->wait();
      on.set_waiting({});
    }
    on.clock.wait_until(recording->virtual_time());
  });
  return cudaSuccess;
}

cudaError_t CUDARTAPI cudaEventCreate(cudaEvent_t* event) {
  if (const cudaError_t error = begin_call("cudaEventCreate")) return error;
  *event = create_event(cudaEventDefault);
  return cudaSuccess;
}

cudaError_t CUDARTAPI cudaEventCreateWithFlags(cudaEvent_t* event, unsigned flags) {
  if (const cudaError_t error = begin_call("cudaEventCreateWithFlags")) return error;
  if (flags & ~unsigned(cudaEventBlockingSync | cudaEventDisableTiming)) return remember(cudaErrorNotSupported);
  *event = create_event(flags);
  return cudaSuccess;
}

cudaError_t CUDARTAPI cudaEventDestroy(cudaEvent_t event) {
  if (const cudaError_t error = begin_call("cudaEventDestroy", false)) return error;
  return destroy_event(event) ? cudaSuccess : remember(cudaErrorInvalidResourceHandle);
}

cudaError_t CUDARTAPI cudaEventRecord(cudaEvent_t event_handle, cudaStream_t handle) {
  if (const cudaError_t error = begin_call("cudaEventRecord")) return error;
  const auto stream = used_stream(handle, "cudaEventRecord");
  const auto event = event_of(event_handle, "cudaEventRecord");
  if (!stream || !event) return remember(cudaErrorInvalidResourceHandle);
  if (event->device != stream->device) {
    report("wrong device: an event of device " + std::to_string(event->device) + " was recorded on " + stream->name() +
           of_task(current_task()));
    return remember(cudaErrorInvalidResourceHandle);
  }
  const std::string task = current_task();
  auto recording = std::make_shared<Recording>(stream->name() + (task.empty() ? "" : " after task " + task));
  {
    const std::lock_guard lock(event->mutex);
    event->latest = recording;
  }
  submit(*stream, "cudaEventRecord", [recording](Stream& on) { recording->finish(on.clock.recorded()); });
  return cudaSuccess;
}

cudaError_t CUDARTAPI cudaEventQuery(cudaEvent_t handle) {
  if (const cudaError_t error = begin_call("cudaEventQuery")) return error;
  const auto event = event_of(handle, "cudaEventQuery");
  if (!event) return remember(cudaErrorInvalidResourceHandle);
  if (const cudaError_t error = sticky_error(event->device)) return remember(error);
  const auto recording = event->take_latest();
  return !recording || recording->is_done() ? cudaSuccess : cudaErrorNotReady;
}

cudaError_t CUDARTAPI cudaEventSynchronize(cudaEvent_t handle) {
  if (const cudaError_t error = begin_call("cudaEventSynchronize")) return error;
  const auto event = event_of(handle, "cudaEventSynchronize");
  if (!event) return remember(cudaErrorInvalidResourceHandle);
  if (const auto recording = event->take_latest()) recording->wait();
  return remember(sticky_error(event->device));
}

cudaError_t CUDARTAPI cudaEventElapsedTime(float* milliseconds, cudaEvent_t begin_handle, cudaEvent_t end_handle) {
  if (const cudaError_t error = begin_call("cudaEventElapsedTime")) return error;
  const auto begin = event_of(begin_handle, "cudaEventElapsedTime"), end = event_of(end_handle, "cudaEventElapsedTime");
  if (!begin || !end) return remember(cudaErrorInvalidResourceHandle);
  if ((begin->flags | end->flags) & cudaEventDisableTiming || begin->device != end->device)
    return remember(cudaErrorInvalidResourceHandle);
  const auto from = begin->take_latest(), to = end->take_latest();
  if (!from || !to) return remember(cudaErrorInvalidResourceHandle);
  if (!from->is_done() || !to->is_done()) return cudaErrorNotReady;
  *milliseconds = virtual_clock_is_on()
                      ? float(double(to->virtual_time() - from->virtual_time()) * 1e-9)
                      : std::chrono::duration<float, std::milli>(to->real_time() - from->real_time()).count();
  return cudaSuccess;
}
