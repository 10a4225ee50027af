#include "tests/cuda_kernels/gpu.h"

#include <cstring>

namespace pgram {

Plan plan_of(const KernelCase& c) {
  Plan plan;
  plan.attributes = {c.attributes};
  Body body;
  body.name = "only";
  body.ops = {c.op()};
  for (int i = 0; i < c.operands(); ++i) {
    Record record;
    if (c.record_of(i)) {
      record = *c.record_of(i);
    } else {
      Field field;
      field.dims = c.dims(i);
      field.num_dims = field.dims[1] == 1 ? 1 : 2;
      field.dtype = c.is_float(i) ? DType::f32 : DType::i32;
      record.fields = {field};
      record.lay_out();
    }
    plan.records.push_back(record);
    body.formals.push_back(static_cast<uint16_t>(i));
    body.operands.push_back({static_cast<uint8_t>(i), 1, c.record_of(i) ? kWhole : uint16_t{0}});
  }
  plan.bodies = {body};
  Program program;
  program.calls.resize(1);
  plan.programs = {program};
  return plan;
}

Gpu::Gpu() {
  use_device(0);
  stream_ = make_stream(0);
  blas_ = make_blas();
  PGRAM_CHECK(cublasSetStream(blas_.get(), stream_.get()));
}

DeviceMemory Gpu::to_device(const void* data, uint64_t bytes) const {
  DeviceMemory memory = make_device_memory(bytes + offset);
  std::byte* at = static_cast<std::byte*>(memory.get()) + offset;
  const PinnedMemory pinned = make_pinned_memory(bytes);
  std::memcpy(pinned.get(), data, bytes);
  PGRAM_CHECK(cudaMemcpyAsync(at, pinned.get(), bytes, cudaMemcpyHostToDevice, stream_.get()));
  PGRAM_CHECK(cudaStreamSynchronize(stream_.get()));
  return memory;
}

void Gpu::to_host(void* data, const DeviceMemory& memory, uint64_t bytes) const {
  const std::byte* at = static_cast<const std::byte*>(memory.get()) + offset;
  const PinnedMemory pinned = make_pinned_memory(bytes);
  PGRAM_CHECK(cudaMemcpyAsync(pinned.get(), at, bytes, cudaMemcpyDeviceToHost, stream_.get()));
  PGRAM_CHECK(cudaStreamSynchronize(stream_.get()));
  std::memcpy(data, pinned.get(), bytes);
}

void Gpu::issue(const Launch& launch, const RankInfo& rank, uint64_t bytes) const {
  DeviceMemory workspace;
  if (bytes > 0) workspace = make_device_memory(bytes);
  DispatchContext context;
  context.tp_rank = rank.tp_rank;
  context.tp_size = rank.tp_size;
  context.blas = blas_.get();
  context.workspace = static_cast<std::byte*>(workspace.get());
  context.workspace_bytes = bytes;
  context.deterministic = deterministic;
  dispatch(launch, context, stream_.get());
  PGRAM_CHECK(cudaStreamSynchronize(stream_.get()));
}

std::vector<std::vector<float>> Gpu::run(const KernelCase& c, uint64_t missing) const {
  std::vector<DeviceMemory> memory;
  std::vector<std::byte*> addresses;
  for (int i = 0; i < c.operands(); ++i) {
    memory.push_back(to_device(c[i].data(), c.bytes(i)));
    addresses.push_back(static_cast<std::byte*>(memory.back().get()) + offset);
  }
  issue(c.launch(addresses), c.rank, workspace_bytes(plan_of(c), 0) - missing);
  std::vector<std::vector<float>> results;
  for (int i = 0; i < c.operands(); ++i) {
    results.emplace_back(c[i].size());
    to_host(results.back().data(), memory[i], c.bytes(i));
  }
  return results;
}

}  // namespace pgram
