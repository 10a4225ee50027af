// A Plan without a model, for tests that issue tasks to devices by hand: one body whose ops name every stream, kernel
// and communicator that a test launches.
#pragma once
#include <memory>
#include <vector>

#include "core/base/errors.h"
#include "core/plan/plan.h"
#include "cpu_backend/cpu_backend.h"

namespace pgram::testing {

enum DeviceComm : uint16_t { kTpGroup, kChannel };

/// `tp` ranks in a group, `pp` roles with a channel from role 0 to role 1.
inline Plan device_plan(uint32_t tp, uint32_t pp) {
  Plan plan;
  plan.mesh.size = {tp, 1, pp};
  plan.attributes.emplace_back();
  Communicator group;
  group.name = "tp", group.axes = kTp, group.stream = Stream::tensor;
  Communicator channel;
  channel.name = "f0>1", channel.axes = kPp, channel.directed = true, channel.source = 0, channel.target = 1;
  plan.comms = {group};
  if (pp > 1) plan.comms.push_back(channel);
  Body body;
  body.name = "all";
  const auto add = [&](Kernel kernel, Stream stream, uint16_t comm, uint8_t operands) {
    Op op;
    op.kernel = kernel, op.stream = stream, op.comm = comm, op.num_operands = operands, op.num_writes = 1;
    body.ops.push_back(op);
  };
  add(Kernel::zero, Stream::compute, kNoComm, 1);
  add(Kernel::opaque, Stream::compute, kNoComm, 0);
  add(Kernel::opaque, Stream::data, kNoComm, 0);
  add(Kernel::all_reduce, Stream::tensor, kTpGroup, 1);
  add(Kernel::all_reduce_max, Stream::tensor, kTpGroup, 1);
  add(Kernel::all_gather, Stream::tensor, kTpGroup, 2);
  add(Kernel::reduce_scatter, Stream::tensor, kTpGroup, 2);
  add(Kernel::send, channel_stream(true, false, false), kChannel, 1);
  add(Kernel::recv, channel_stream(false, false, true), kChannel, 1);
  plan.bodies.push_back(body);
  Program program;
  program.calls.emplace_back();
  plan.programs.assign(pp, program);
  return plan;
}
enum DeviceOp {
  kZero,
  kOpaqueCompute,
  kOpaqueData,
  kAllReduce,
  kAllReduceMax,
  kAllGather,
  kReduceScatter,
  kSend,
  kReceive
};

/// Devices of all ranks of a plan, driven by one thread: launching never blocks.
class Devices {
 public:
  explicit Devices(const Plan& plan, CpuOptions options = {}) : plan_(plan), backend_(plan, with_defaults(options)) {
    for (uint32_t rank : backend_.local_ranks()) devices_.push_back(backend_.open(rank));
  }
  /// As in a run: before any of them goes, no stream of any other may touch it any more.
  ~Devices() {
    for (const auto& device : devices_) {
      try {
        device->synchronize();
      } catch (const RunError&) {
        // The test has seen it, and all streams are quiet.
      }
    }
  }

  RankDevice& operator[](uint32_t rank) { return *devices_[rank]; }
  CpuBackend& backend() { return backend_; }

  float* floats(uint32_t rank, size_t count) {
    return reinterpret_cast<float*>(devices_[rank]->allocate(count * sizeof(float)));
  }

  struct Buffer {
    float* data;
    size_t count;
  };
  /// `op`: index into the plan's body.
  void launch(uint32_t rank, uint16_t op, std::vector<Buffer> buffers = {}, bool begins_group = true,
              bool ends_group = true) {
    Launch launch;
    launch.group_begin = begins_group;
    launch.group_end = ends_group;
    launch.op = &plan_.bodies[0].ops[op];
    launch.attributes = &plan_.attributes[0];
    launch.task = {rank, 0, op};
    for (size_t i = 0; i < buffers.size(); ++i) {
      launch.operands[i].data = reinterpret_cast<std::byte*>(buffers[i].data);
      launch.operands[i].bytes = buffers[i].count * sizeof(float);
      launch.operands[i].dims = {static_cast<uint32_t>(buffers[i].count), 1};
    }
    devices_[rank]->launch(launch);
  }

  void synchronize() {
    for (auto& device : devices_) device->synchronize();
  }

 private:
  static CpuOptions with_defaults(CpuOptions options) {
    options.kernels = KernelSet::plain;
    return options;
  }
  const Plan& plan_;
  CpuBackend backend_;
  std::vector<std::unique_ptr<RankDevice>> devices_;
};

}  // namespace pgram::testing
