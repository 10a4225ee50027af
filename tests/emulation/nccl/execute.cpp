#include "tests/emulation/nccl/execute.h"

#include <algorithm>
#include <cstring>

#include "tests/emulation/runtime/runtime.h"

namespace pgram::emulation {
namespace {

/// Counts an operation as unfinished until it has run, or was thrown away.
class Unfinished {
 public:
  explicit Unfinished(std::shared_ptr<ncclComm> communicator) : communicator_(std::move(communicator)) {
    std::lock_guard lock(communicator_->mutex);
    ++communicator_->unfinished;
  }
  ~Unfinished() { end(); }
  Unfinished(const Unfinished&) = delete;
  Unfinished& operator=(const Unfinished&) = delete;

  void end() {
    {
      std::lock_guard lock(communicator_->mutex);
      if (!ended_) --communicator_->unfinished;
      ended_ = true;
    }
    communicator_->changed.notify_all();
  }

 private:
  const std::shared_ptr<ncclComm> communicator_;
  bool ended_ = false;
};

/// What the worker shares with those that bring the outcomes.
struct Waiting {
  std::vector<Outcome> outcomes;
  size_t open = 0;
};

/// Host memory of the buffers of every call; false if one is not where it should be.
struct Buffers {
  const std::byte* send = nullptr;
  std::byte* receive = nullptr;
};

bool find_buffers(const std::vector<Issued>& calls, std::vector<Buffers>& buffers) {
  for (const Issued& issued : calls) {
    const ncclComm& c = *issued.communicator;
    const uint64_t sent = sent_bytes(issued.call, c.rank, c.ranks),
                   received = received_bytes(issued.call, c.rank, c.ranks);
    const std::string who = describe(issued.call) + " of " + issued.communicator->name();
    Buffers& b = buffers.emplace_back();
    if (sent && !(b.send = device_memory(issued.send, sent, who + " (send buffer)"))) return false;
    if (received && !(b.receive = device_memory(issued.receive, received, who + " (receive buffer)"))) return false;
  }
  return true;
}

/// Each task of a group begins when its own pair has met.
void tell_begins(const std::vector<Issued>& calls, const std::vector<Outcome>& outcomes, Running& running) {
  const auto same_task = [&](const Issued& issued) { return issued.task == calls[0].task; };
  if (std::all_of(calls.begin(), calls.end(), same_task)) {
    VirtualTime begin = 0;
    for (const Outcome& outcome : outcomes) begin = std::max(begin, outcome.begin);
    return running.begin_at(begin);
  }
  std::vector<std::pair<std::string, VirtualTime>> tasks;
  for (size_t i = 0; i < calls.size(); ++i) {
    const auto known =
        std::find_if(tasks.begin(), tasks.end(), [&](const auto& t) { return t.first == calls[i].task; });
    if (known == tasks.end()) {
      tasks.emplace_back(calls[i].task, outcomes[i].begin);
    } else {
      known->second = std::max(known->second, outcomes[i].begin);
    }
  }
  for (const auto& [task, begin] : tasks) running.part(task, begin);
}

void run(const std::vector<Issued>& calls, Running& running) {
  const auto communicator = calls[0].communicator;
  std::shared_ptr<Link> link;
  {
    std::lock_guard lock(communicator->mutex);
    link = communicator->link;
  }
  if (!link) return;  // aborted
  std::vector<Buffers> buffers;
  if (!find_buffers(calls, buffers)) {
    communicator->fail(ncclUnhandledCudaError);
    return running.fail(cudaErrorIllegalAddress);
  }
  const auto waiting = std::make_shared<Waiting>();
  waiting->outcomes.resize(calls.size());
  waiting->open = calls.size();
  for (size_t i = 0; i < calls.size(); ++i) {
    Call call = calls[i].call;
    call.arrival = running.arrival();
    const std::byte* from = buffers[i].send;
    Bytes data(from, from + sent_bytes(call, communicator->rank, communicator->ranks));
    link->post(call, std::move(data), [waiting, communicator, i](Outcome outcome) {
      {
        std::lock_guard lock(communicator->mutex);
        waiting->outcomes[i] = std::move(outcome);
        --waiting->open;
      }
      communicator->changed.notify_all();
    });
  }
  {
    const std::string more = calls.size() > 1 ? " and " + std::to_string(calls.size() - 1) + " more" : "";
    const Blocked blocked(running, describe(calls[0].call) + more + " of " + communicator->name());
    std::unique_lock lock(communicator->mutex);
    communicator->changed.wait(lock, [&] { return waiting->open == 0 || communicator->left; });
    if (waiting->open > 0) return;
  }
  for (size_t i = 0; i < calls.size(); ++i) {
    const Bytes& data = waiting->outcomes[i].data;
    if (buffers[i].receive) std::memcpy(buffers[i].receive, data.data(), data.size());
  }
  tell_begins(calls, waiting->outcomes, running);
}

/// In the order in which they are issued, calls get the numbers by which they find their partners.
void number(std::vector<Issued>& calls) {
  for (Issued& issued : calls) {
    ncclComm& c = *issued.communicator;
    std::lock_guard lock(c.mutex);
    Call& call = issued.call;
    call.sequence = call.kind == Kind::send      ? c.sends[call.root]++
                    : call.kind == Kind::receive ? c.receives[call.root]++
                                                 : c.collectives++;
  }
}

/// `later` does nothing more before `earlier` has done what it has now.
cudaError_t put_in_order(cudaStream_t earlier, cudaStream_t later) {
  cudaEvent_t event = nullptr;
  cudaError_t error = cudaEventCreateWithFlags(&event, cudaEventDisableTiming);
  if (error != cudaSuccess) return error;
  error = cudaEventRecord(event, earlier);
  if (error == cudaSuccess) error = cudaStreamWaitEvent(later, event, 0);
  const cudaError_t destroyed = cudaEventDestroy(event);
  return error == cudaSuccess ? destroyed : error;
}

}  // namespace

ncclResult_t launch(std::vector<Issued> calls) {
  const auto communicator = calls[0].communicator;
  const OnDevice on_device(communicator->device);
  std::vector<cudaStream_t> streams;
  for (const Issued& issued : calls) {
    if (std::find(streams.begin(), streams.end(), issued.stream) == streams.end()) streams.push_back(issued.stream);
  }
  number(calls);
  cudaError_t error = cudaSuccess;
  for (size_t i = 1; i < streams.size() && error == cudaSuccess; ++i) error = put_in_order(streams[i], streams[0]);
  if (error == cudaSuccess) {
    Operation operation;
    operation.name = describe(calls[0].call) + " of " + communicator->name();
    operation.task = calls[0].task;
    const auto unfinished = std::make_shared<Unfinished>(communicator);
    const cudaStream_t stream = streams[0];
    operation.run = [calls = std::move(calls), unfinished](Running& running) {
      run(calls, running);
      unfinished->end();
    };
    error = enqueue(stream, std::move(operation));
  }
  for (size_t i = 1; i < streams.size() && error == cudaSuccess; ++i) error = put_in_order(streams[0], streams[i]);
  if (error == cudaSuccess) return ncclSuccess;
  communicator->fail(ncclUnhandledCudaError);
  return refuse(ncclUnhandledCudaError, std::string("CUDA: ") + cudaGetErrorString(error));
}

}  // namespace pgram::emulation
