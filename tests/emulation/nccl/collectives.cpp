// The calls that move data.
#include <map>

#include "tests/emulation/nccl/group.h"
#include "tests/emulation/nccl/reduce.h"
#include "tests/emulation/runtime/runtime.h"

using namespace pgram::emulation;

namespace {

bool reduces(Kind kind) {
  return kind == Kind::all_reduce || kind == Kind::reduce_scatter || kind == Kind::reduce;
}

std::string name_of_device(int device) {
  return device < 0 ? "host memory" : "device " + std::to_string(device);
}

/// NCCL may wait in a call for the same call of the other ranks, which a thread that drives several of them outside a
/// group would never make.
void check_ranks_of_thread(const std::string& call, ncclComm& c) {
  if (in_group()) return;
  thread_local std::map<std::pair<std::string, uint64_t>, int> driven;
  const int first = driven.emplace(std::pair(c.hub, c.meeting), c.rank).first->second;
  if (first == c.rank) return;
  report("no group: one thread calls " + call + " for ranks " + std::to_string(first) + " and " +
         std::to_string(c.rank) + " of " + c.name() + " outside ncclGroupStart and ncclGroupEnd");
}

ncclResult_t check_buffer(const std::string& call, ncclComm& c, const void* buffer, uint64_t bytes, const char* which) {
  if (!bytes) return ncclSuccess;
  const int device = device_of_memory(buffer);
  if (device == c.device) return ncclSuccess;
  report((device < 0 ? "host pointer: " : "wrong device: ") + call + " of " + c.name() + " on device " +
         std::to_string(c.device) + " was given a " + which + " buffer in " + name_of_device(device));
  return refuse(ncclInvalidArgument, call + " with a buffer that is not on the communicator's device");
}

/// Buffers are apart, or in place just as NCCL says.
ncclResult_t check_overlap(const std::string& call, ncclComm& c, const Issued& issued, uint64_t sent,
                           uint64_t received) {
  const auto* send = static_cast<const std::byte*>(issued.send);
  const auto* receive = static_cast<const std::byte*>(issued.receive);
  if (!sent || !received || send + sent <= receive || receive + received <= send) return ncclSuccess;
  const uint64_t part = issued.call.count * size_of(issued.call.type) * uint64_t(c.rank);
  const bool in_place = issued.call.kind == Kind::all_gather       ? send == receive + part
                        : issued.call.kind == Kind::reduce_scatter ? receive == send + part
                                                                   : send == receive;
  if (in_place) return ncclSuccess;
  report("overlap: the buffers of " + call + " of " + c.name() + " overlap, but not as an in-place operation's do");
  return refuse(ncclInvalidArgument, call + " with buffers that overlap");
}

ncclResult_t check(const std::string& name, ncclComm& c, const Issued& issued) {
  const Call& call = issued.call;
  if (call.type < 0 || call.type >= ncclNumTypes) return refuse(ncclInvalidArgument, name + " of an unknown type");
  if (call.root < 0 || call.root >= c.ranks) {
    return refuse(ncclInvalidArgument,
                  name + " with rank " + std::to_string(call.root) + " of " + std::to_string(c.ranks));
  }
  if (reduces(call.kind) && !can_reduce(call.type, call.op)) {
    report("not in the stand-in: " + signature(call));
    return refuse(ncclInvalidArgument, signature(call) + " is not in the stand-in");
  }
  if (issued.stream && device_of(issued.stream) != c.device) {
    report("wrong device: " + name + " of " + c.name() + " on device " + std::to_string(c.device) +
           " was put on a stream of device " + std::to_string(device_of(issued.stream)));
    return refuse(ncclInvalidUsage, name + " on a stream of another device");
  }
  const uint64_t sent = sent_bytes(call, c.rank, c.ranks), received = received_bytes(call, c.rank, c.ranks);
  ncclResult_t result = check_buffer(name, c, issued.send, sent, "send");
  if (result == ncclSuccess) result = check_buffer(name, c, issued.receive, received, "receive");
  return result == ncclSuccess ? check_overlap(name, c, issued, sent, received) : result;
}

ncclResult_t issue(ncclComm_t handle, const Call& call, const void* send, void* receive, cudaStream_t stream) {
  const std::string name = name_of(call.kind);
  const Use use(name.c_str(), handle, Use::Needs::ready);
  if (!use) return fail_group(use.status());
  Issued issued{use->shared_from_this(), call, send, receive, stream, current_task()};
  check_ranks_of_thread(name, *use);
  if (const ncclResult_t result = check(name, *use, issued); result != ncclSuccess) return fail_group(result);
  start_group();
  add_to_group(std::move(issued));
  return end_group();
}

}  // namespace

extern "C" {

ncclResult_t ncclAllReduce(const void* send, void* receive, size_t count, ncclDataType_t type, ncclRedOp_t op,
                           ncclComm_t communicator, cudaStream_t stream) {
  const Call call{.kind = Kind::all_reduce, .type = type, .op = op, .count = count};
  return issue(communicator, call, send, receive, stream);
}

ncclResult_t ncclReduceScatter(const void* send, void* receive, size_t count, ncclDataType_t type, ncclRedOp_t op,
                               ncclComm_t communicator, cudaStream_t stream) {
  const Call call{.kind = Kind::reduce_scatter, .type = type, .op = op, .count = count};
  return issue(communicator, call, send, receive, stream);
}

ncclResult_t ncclAllGather(const void* send, void* receive, size_t count, ncclDataType_t type, ncclComm_t communicator,
                           cudaStream_t stream) {
  const Call call{.kind = Kind::all_gather, .type = type, .count = count};
  return issue(communicator, call, send, receive, stream);
}

ncclResult_t ncclBroadcast(const void* send, void* receive, size_t count, ncclDataType_t type, int root,
                           ncclComm_t communicator, cudaStream_t stream) {
  const Call call{.kind = Kind::broadcast, .type = type, .root = root, .count = count};
  return issue(communicator, call, send, receive, stream);
}

ncclResult_t ncclReduce(const void* send, void* receive, size_t count, ncclDataType_t type, ncclRedOp_t op, int root,
                        ncclComm_t communicator, cudaStream_t stream) {
  const Call call{.kind = Kind::reduce, .type = type, .op = op, .root = root, .count = count};
  return issue(communicator, call, send, receive, stream);
}

ncclResult_t ncclSend(const void* send, size_t count, ncclDataType_t type, int peer, ncclComm_t communicator,
                      cudaStream_t stream) {
  const Call call{.kind = Kind::send, .type = type, .root = peer, .count = count};
  return issue(communicator, call, send, nullptr, stream);
}

ncclResult_t ncclRecv(void* receive, size_t count, ncclDataType_t type, int peer, ncclComm_t communicator,
                      cudaStream_t stream) {
  const Call call{.kind = Kind::receive, .type = type, .root = peer, .count = count};
  return issue(communicator, call, nullptr, receive, stream);
}

}  // extern "C"
