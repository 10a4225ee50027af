// The table of all streams, and putting work on them. A handle is a number that is used once, so that a stale one is
// always known as such.
#include "tests/emulation/runtime/streams.h"

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <unordered_map>
#include <utility>

#include "tests/emulation/runtime/device.h"
#include "tests/emulation/runtime/reports.h"
#include "tests/emulation/runtime/stream.h"

namespace pgram::emulation {
namespace {

constexpr unsigned kDefaultStreamFlags = cudaStreamDefault;

/// Never destroyed: workers outlive main().
struct Table {
  std::mutex mutex;
  std::unordered_map<cudaStream_t, std::shared_ptr<Stream>> open;
  std::map<Stream*, std::shared_ptr<Stream>> working;  ///< open ones, and closed ones that still work
  std::array<std::shared_ptr<Stream>, kMaxDevices> default_streams;
  std::array<uint32_t, kMaxDevices> made{};
  std::vector<TaskTime> times;  ///< of forgotten streams
  uintptr_t handles = 0;
};
Table& table() {
  static auto& instance = *new Table;
  return instance;
}

/// Index 0 of each device is its default stream.
std::shared_ptr<Stream> default_stream(Table& all, int device) {
  std::shared_ptr<Stream>& stream = all.default_streams[size_t(device)];
  if (!stream) {
    stream = std::make_shared<Stream>(device, 0, kDefaultStreamFlags, 0);
    all.working[stream.get()] = stream;
  }
  return stream;
}

/// An operation while its stream's worker runs it.
class RunningItem final : public Running {
 public:
  RunningItem(Stream& stream, const Item& item) : stream_(stream), item_(item), arrival_(stream.clock.arrival()) {}

  int device() const override { return stream_.device; }
  uint64_t stream() const override { return stream_.id; }
  const std::string& task() const override { return item_.task.name; }
  VirtualTime arrival() const override { return arrival_; }
  void begin_at(VirtualTime time) override { begin_ = time; }
  void part(const std::string& task, VirtualTime begin) override { parts_.push_back({task, begin}); }
  void fail(cudaError_t error) override { fail_device(stream_.device, error); }

  Stream& underlying() { return stream_; }
  void advance_clock() {
    if (parts_.empty())
      stream_.clock.run(item_.task, begin_);
    else
      stream_.clock.run_parts(std::move(parts_));
  }

 private:
  Stream& stream_;
  const Item& item_;
  VirtualTime arrival_;
  std::optional<VirtualTime> begin_;
  std::vector<TaskPart> parts_;
};

}  // namespace

cudaError_t create_stream(cudaStream_t* handle, unsigned flags, int priority) {
  Table& all = table();
  const std::lock_guard lock(all.mutex);
  const int device = current_device();
  auto stream = std::make_shared<Stream>(device, ++all.made[size_t(device)], flags, priority);
  all.working[stream.get()] = stream;
  // cudaStreamLegacy and cudaStreamPerThread are 1 and 2.
  *handle = reinterpret_cast<cudaStream_t>(16 * ++all.handles);
  all.open[*handle] = std::move(stream);
  return cudaSuccess;
}

bool destroy_stream(cudaStream_t handle) {
  Table& all = table();
  std::shared_ptr<Stream> stream;
  {
    const std::lock_guard lock(all.mutex);
    const auto found = all.open.find(handle);
    if (found != all.open.end()) {
      stream = std::move(found->second);
      all.open.erase(found);
    }
  }
  if (!stream) {
    report("destroyed stream: cudaStreamDestroy of a handle that is no live stream");
    return false;
  }
  stream->close();
  return true;
}

void forget_stream(Stream& stream) {
  std::vector<TaskTime> times = stream.clock.take_times();
  Table& all = table();
  const std::lock_guard lock(all.mutex);
  all.times.insert(all.times.end(), times.begin(), times.end());
  all.working.erase(&stream);
}

bool is_default(cudaStream_t handle) {
  return handle == nullptr || handle == cudaStreamLegacy || handle == cudaStreamPerThread;
}

std::shared_ptr<Stream> stream_of(cudaStream_t handle, const std::string& who) {
  Table& all = table();
  {
    const std::lock_guard lock(all.mutex);
    if (is_default(handle)) return default_stream(all, current_device());
    const auto found = all.open.find(handle);
    if (found != all.open.end()) return found->second;
  }
  report("destroyed stream: " + who + " was given a handle that is no live stream");
  return nullptr;
}

std::vector<std::shared_ptr<Stream>> streams_of_device(int device) {
  Table& all = table();
  const std::lock_guard lock(all.mutex);
  std::vector<std::shared_ptr<Stream>> streams;
  for (const auto& [pointer, stream] : all.working)
    if (device < 0 || stream->device == device) streams.push_back(stream);
  std::sort(streams.begin(), streams.end(), [](const auto& a, const auto& b) { return a->id < b->id; });
  return streams;
}

std::vector<TaskTime> take_task_times() {
  std::vector<TaskTime> times;
  for (const auto& stream : streams_of_device(-1)) {
    std::vector<TaskTime> some = stream->clock.take_times();
    times.insert(times.end(), some.begin(), some.end());
  }
  Table& all = table();
  {
    const std::lock_guard lock(all.mutex);
    times.insert(times.end(), all.times.begin(), all.times.end());
    all.times.clear();
  }
  std::stable_sort(times.begin(), times.end(),
                   [](const TaskTime& a, const TaskTime& b) { return a.stream < b.stream; });
  return times;
}

uint64_t live_streams() {
  Table& all = table();
  const std::lock_guard lock(all.mutex);
  return all.open.size();
}

void wait_for_device(int device) {
  for (const auto& stream : streams_of_device(device)) stream->wait_idle();
}

int device_of(cudaStream_t handle) {
  const auto stream = stream_of(handle, "somebody");
  return stream ? stream->device : -1;
}

cudaError_t enqueue(cudaStream_t handle, Operation operation) {
  if (operation.task.empty()) operation.task = current_task();
  const std::string who = operation.name + of_task(operation.task);
  if (is_default(handle)) report("default stream: " + who + " was put on the default stream");
  const std::shared_ptr<Stream> stream = stream_of(handle, who);
  if (!stream) return cudaErrorInvalidResourceHandle;
  if (stream->device != current_device()) {
    report("wrong device: " + who + " was put on " + stream->name() + " while device " +
           std::to_string(current_device()) + " was current");
    return cudaErrorInvalidResourceHandle;
  }
  if (const cudaError_t error = sticky_error(stream->device)) return error;
  TaskUse use = current_use(operation.task);
  stream->submit(
      {std::move(operation.name), std::move(use), [run = std::move(operation.run)](Stream& on, const Item& item) {
         if (sticky_error(on.device) != cudaSuccess) return;  // a device in error does nothing any more
         RunningItem running(on, item);
         run(running);
         running.advance_clock();
       }});
  return cudaSuccess;
}

Blocked::Blocked(Running& running, std::string what) {
  Stream& stream = static_cast<RunningItem&>(running).underlying();
  stream.set_waiting(std::move(what));
  entry_ = &stream;
}

Blocked::~Blocked() {
  static_cast<Stream*>(entry_)->set_waiting({});
}

}  // namespace pgram::emulation
