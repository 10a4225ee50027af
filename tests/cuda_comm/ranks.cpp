#include "tests/cuda_comm/ranks.h"

#include <cstring>

namespace pgram::testing {

constexpr uint64_t kPinnedBytes = 1 << 16;

Plan mesh_plan(uint32_t tp, uint32_t dp, uint32_t pp, bool paired) {
  Plan plan;
  plan.mesh.size = {tp, dp, pp};
  plan.attributes.emplace_back();
  const auto group = [&](const std::string& name, AxisMask axes, Stream stream) {
    Communicator comm;
    comm.name = name, comm.axes = axes, comm.stream = stream;
    plan.comms.push_back(comm);
  };
  group("tp", kTp, Stream::tensor);
  group("dp", kDp, Stream::data);
  group("all", kTp | kDp | kPp, Stream::misc);
  const auto channel = [&](const std::string& name, uint32_t source, uint32_t target) {
    Communicator comm;
    comm.name = name, comm.axes = kPp, comm.directed = true;
    comm.source = static_cast<uint16_t>(source), comm.target = static_cast<uint16_t>(target);
    plan.comms.push_back(comm);
  };
  for (uint32_t role = 0; role + 1 < pp; ++role) {
    channel("f" + std::to_string(role), role, role + 1);
    channel("b" + std::to_string(role + 1), role + 1, role);
  }
  // A body of one op for each use that a role makes of a communicator.
  for (uint32_t role = 0; role < pp; ++role) {
    Program program;
    const auto use = [&](Kernel kernel, uint16_t comm, Stream stream) {
      Op op;
      op.kernel = kernel, op.comm = comm, op.stream = stream;
      Body body;
      body.name = plan.comms[comm].name, body.ops = {op};
      Call call;
      call.body = static_cast<uint16_t>(plan.bodies.size());
      plan.bodies.push_back(body);
      program.calls.push_back(call);
    };
    for (uint16_t comm : {kTensor, kData, kAll}) use(Kernel::all_reduce, comm, plan.comms[comm].stream);
    for (uint16_t comm = kFirstChannel; comm < plan.comms.size(); ++comm) {
      const Communicator& ends = plan.comms[comm];
      const bool gradient = ends.name[0] == 'b';
      if (role == ends.source) {
        const bool up = ends.target > ends.source;
        use(Kernel::send, comm, paired ? neighbour_stream(up) : channel_stream(up, gradient, false));
      } else if (role == ends.target) {
        const bool up = ends.source > ends.target;
        use(Kernel::recv, comm, paired ? neighbour_stream(up) : channel_stream(up, gradient, true));
      }
    }
    plan.programs.push_back(program);
  }
  return plan;
}

Rank::Rank(const Plan& plan, uint32_t rank, int device, std::unique_ptr<Communication> communication)
    : plan_(plan), rank_(rank), communication_(std::move(communication)) {
  use_device(device);
  stream_ = make_stream(0);
  pinned_ = make_pinned_memory(kPinnedBytes);
}

Rank::~Rank() = default;

Tensor Rank::upload(const std::vector<float>& values) {
  Tensor tensor;
  tensor.bytes = values.size() * sizeof(float);
  tensor.dims = {static_cast<uint32_t>(values.size()), 1};
  memory_.push_back(make_device_memory(tensor.bytes));
  tensor.data = static_cast<std::byte*>(memory_.back().get());
  if (tensor.bytes > kPinnedBytes) throw RunError("too long for this test");
  std::memcpy(pinned_.get(), values.data(), tensor.bytes);
  PGRAM_CHECK(cudaMemcpyAsync(tensor.data, pinned_.get(), tensor.bytes, cudaMemcpyHostToDevice, stream_.get()));
  PGRAM_CHECK(cudaStreamSynchronize(stream_.get()));
  return tensor;
}

Tensor Rank::upload_late(const std::vector<float>& values) {
  constexpr uint64_t kBusyBytes = 32 << 20;
  const Tensor tensor = empty(values.size());
  memory_.push_back(make_device_memory(kBusyBytes));
  for (int i = 0; i < 10; ++i) PGRAM_CHECK(cudaMemsetAsync(memory_.back().get(), i, kBusyBytes, stream_.get()));
  std::memcpy(pinned_.get(), values.data(), tensor.bytes);
  PGRAM_CHECK(cudaMemcpyAsync(tensor.data, pinned_.get(), tensor.bytes, cudaMemcpyHostToDevice, stream_.get()));
  return tensor;
}

std::vector<float> Rank::download(const Tensor& tensor) {
  std::vector<float> values(tensor.count());
  PGRAM_CHECK(cudaMemcpyAsync(pinned_.get(), tensor.data, tensor.bytes, cudaMemcpyDeviceToHost, stream_.get()));
  PGRAM_CHECK(cudaStreamSynchronize(stream_.get()));
  std::memcpy(values.data(), pinned_.get(), tensor.bytes);
  return values;
}

void Rank::issue(Kernel kernel, uint16_t comm, const std::vector<Tensor>& operands, Group group) {
  ops_.push_back(std::make_unique<Op>());
  Op& op = *ops_.back();
  op.kernel = kernel, op.comm = comm;
  op.num_operands = static_cast<uint8_t>(operands.size());
  Launch launch;
  launch.op = &op;
  launch.attributes = &plan_.attributes[0];
  launch.task = {rank_, 0, 0};
  launch.group_begin = group != kCloses;
  launch.group_end = group != kOpens;
  for (size_t i = 0; i < operands.size(); ++i) launch.operands[i] = operands[i];
  communication_->issue(launch, stream_.get());
}

static bool idle(cudaStream_t stream, double seconds, const std::function<void()>& meanwhile) {
  const auto begin = std::chrono::steady_clock::now();
  while (cudaStreamQuery(stream) == cudaErrorNotReady) {
    meanwhile();
    if (std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count() > seconds) return false;
    std::this_thread::sleep_for(std::chrono::microseconds(100));
  }
  meanwhile();
  return true;
}

bool Rank::synchronize(double seconds) {
  return idle(stream_.get(), seconds, [this] { communication_->poll(); });
}

bool Rank::idle_within(double seconds) {
  return idle(stream_.get(), seconds, [] {});
}

std::vector<std::string> on_ranks(const Plan& plan, Connections& connections, bool one_device,
                                  const std::function<void(Rank&)>& body) {
  const uint32_t ranks = plan.mesh.ranks();
  std::vector<std::string> errors(ranks);
  std::vector<std::thread> threads;
  for (uint32_t r = 0; r < ranks; ++r) {
    threads.emplace_back([&, r] {
      try {
        const int device = one_device ? 0 : static_cast<int>(r);
        use_device(device);
        Rank rank(plan, r, device, connections.open(r));
        body(rank);
      } catch (const std::exception& error) {
        errors[r] = error.what();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  return errors;
}

}  // namespace pgram::testing
