#include "cpu_backend/calibrate_transfers.h"

#include <algorithm>
#include <map>
#include <vector>

#include "core/exec/interpreter.h"
#include "core/plan/link.h"
#include "cpu_backend/calibrate_bodies.h"
#include "cpu_backend/cpu_backend.h"

namespace pgram {
namespace {

constexpr uint32_t kSmall = 16;  ///< elements: a cache line

Record matrix_record(const char* name, uint32_t rows, uint32_t columns) {
  Record record;
  record.name = name;
  record.kind = RecordKind::scratch;
  Field field;
  field.name = "x";
  field.num_dims = 2;
  field.dims = {rows, columns};
  record.fields.push_back(field);
  record.lay_out();
  return record;
}

Record buffer_record(const char* name, Bytes bytes) {
  return matrix_record(name, 1, static_cast<uint32_t>(std::max<Bytes>(1, bytes / sizeof(float))));
}

/// Builds a body op by op; operands are formals, each a buffer.
class BodyBuilder {
 public:
  BodyBuilder(Plan& plan, const char* name, std::vector<uint16_t> formals) : plan_(plan) {
    body_.name = name;
    body_.formals = std::move(formals);
  }
  void add(Kernel kernel, std::vector<uint8_t> operands, int writes, Stream stream = Stream::compute,
           uint16_t comm = kNoComm) {
    Op op;
    op.kernel = kernel;
    op.stream = stream;
    op.comm = comm;
    op.num_operands = static_cast<uint8_t>(operands.size());
    op.num_writes = static_cast<uint8_t>(writes);
    op.read_writes = kernel == Kernel::all_reduce ? 1 : 0;
    op.first_operand = static_cast<uint32_t>(body_.operands.size());
    for (uint8_t formal : operands) body_.operands.push_back({formal, 1, 0});
    body_.ops.push_back(op);
  }
  uint16_t finish() {
    plan_.bodies.push_back(body_);
    return static_cast<uint16_t>(plan_.bodies.size() - 1);
  }

 private:
  Plan& plan_;
  Body body_;
};

/// A program of `calls` calls of one body, one slot per record.
Program repeat(const Plan& plan, uint16_t body, uint32_t calls) {
  Program program;
  for (uint16_t record : plan.bodies[body].formals) {
    const auto same = [&](const Pool& pool) { return pool.record == record; };
    const auto pool = std::find_if(program.pools.begin(), program.pools.end(), same);
    program.args.emplace_back(static_cast<uint32_t>(pool - program.pools.begin()), 0);
    if (pool == program.pools.end()) program.pools.push_back({record, 1});
  }
  for (uint32_t i = 0; i < calls; ++i) {
    Call call;
    call.body = body;
    program.calls.push_back(call);
  }
  return program;
}

Plan empty_plan(std::array<uint32_t, kMeshAxes> mesh) {
  Plan plan;
  plan.mesh.size = mesh;
  plan.attributes.emplace_back();
  return plan;
}

/// Between the transfers every rank multiplies matrices for a while, as in a step: members never arrive at quite the
/// same time, and that is a part of what a transfer costs. Appends the three records.
void add_work(Plan& plan, KernelSet kernels) {
  const uint32_t n = kernels == KernelSet::fast ? 64 : 16, size = kernels == KernelSet::fast ? 512 : 64;
  plan.records.push_back(matrix_record("y", n, size));
  plan.records.push_back(matrix_record("x", n, size));
  plan.records.push_back(matrix_record("w", size, size));
}

/// Computes on what came, works, computes on what goes. Formals 0: what goes, 1: what came, 2 to 4: the work.
void add_compute(BodyBuilder& body) {
  body.add(Kernel::add, {1, 1, 1}, 1);
  body.add(Kernel::matmul, {2, 3, 4}, 1);
  body.add(Kernel::add, {0, 0, 0}, 1);
}

/// Without `communicates` the calls only compute.
Plan collective_plan(Kernel kernel, uint32_t ranks, uint32_t groups, Bytes bytes, uint32_t calls, KernelSet kernels,
                     bool communicates) {
  Plan plan = empty_plan({ranks, groups, 1});
  Communicator comm;
  comm.name = "tp";
  comm.axes = kTp;
  comm.stream = Stream::tensor;
  plan.comms.push_back(comm);
  add_work(plan, kernels);
  const Bytes part = std::max<Bytes>(sizeof(float), bytes / ranks / sizeof(float) * sizeof(float));
  const bool in_place = kernel == Kernel::all_reduce, gathers = kernel == Kernel::all_gather;
  plan.records.push_back(buffer_record("source", in_place ? bytes : gathers ? part : part * ranks));
  if (!in_place) plan.records.push_back(buffer_record("result", gathers ? part * ranks : part));
  BodyBuilder body(plan, "collective", {3, static_cast<uint16_t>(in_place ? 3 : 4), 0, 1, 2});
  add_compute(body);
  if (communicates) {
    const std::vector<uint8_t> operands = in_place ? std::vector<uint8_t>{0} : std::vector<uint8_t>{1, 0};
    body.add(kernel, operands, 1, Stream::tensor, 0);
  }
  plan.programs.push_back(repeat(plan, body.finish(), calls));
  return plan;
}

/// Two roles that hand one buffer to and fro and compute on it.
Plan exchange_plan(uint32_t groups, Bytes bytes, uint32_t calls, KernelSet kernels) {
  Plan plan = empty_plan({1, groups, 2});
  for (uint16_t source : {0, 1}) {
    Communicator channel;
    channel.name = source == 0 ? "f0>1" : "b1>0";
    channel.axes = kPp;
    channel.directed = true;
    channel.source = source;
    channel.target = 1 - source;
    plan.comms.push_back(channel);
  }
  add_work(plan, kernels);
  plan.records.push_back(buffer_record("buffer", bytes));
  BodyBuilder first(plan, "first", {3, 3, 0, 1, 2}), second(plan, "second", {3, 3, 0, 1, 2});
  add_compute(first);
  first.add(Kernel::send, {0}, 0, channel_stream(true, false, false), 0);
  first.add(Kernel::recv, {0}, 1, channel_stream(true, true, true), 1);
  second.add(Kernel::recv, {0}, 1, channel_stream(false, false, true), 0);
  add_compute(second);
  second.add(Kernel::send, {0}, 0, channel_stream(false, true, false), 1);
  const uint16_t of_first = first.finish(), of_second = second.finish();
  plan.programs.push_back(repeat(plan, of_first, calls));
  plan.programs.push_back(repeat(plan, of_second, calls));
  return plan;
}

/// Runs a plan whose compute tasks form a chain on rank 0; seconds of a call.
Seconds seconds_per_call(Plan plan, KernelSet kernels) {
  link(plan);
  CpuOptions options;
  options.kernels = kernels;
  CpuBackend backend(plan, options);
  RunOptions run_options;
  run_options.steps = 2;  // the first one warms up
  const RunResult result = run(plan, backend, run_options);
  std::vector<Seconds> periods;
  const Span* before = nullptr;
  for (const Span& span : result.timeline.of_step(1)) {
    if (span.rank != 0 || static_cast<Stream>(span.stream) != Stream::compute || span.op != 0) continue;
    if (before) periods.push_back(to_seconds(span.start - before->start));
    before = &span;
  }
  return typical(std::move(periods));
}

}  // namespace

Seconds measure_task_overhead(KernelSet kernels) {
  constexpr uint32_t kFiller = 1 << 22, kTasks = 800;
  Plan plan = empty_plan({1, 1, 1});
  plan.records.push_back(buffer_record("filler", kFiller * sizeof(float)));
  plan.records.push_back(buffer_record("small", kSmall * sizeof(float)));
  // While the large one is zeroed, the small ones queue up.
  BodyBuilder large(plan, "large", {0}), small(plan, "small", {1});
  large.add(Kernel::zero, {0}, 1);
  small.add(Kernel::zero, {0}, 1);
  const uint16_t of_large = large.finish(), of_small = small.finish();
  Program program = repeat(plan, of_small, kTasks);
  program.pools.push_back({0, 1});  // the large one
  program.args.emplace_back(1, 0);
  Call call;
  call.body = of_large;
  call.first_arg = 1;
  program.calls.insert(program.calls.begin(), call);
  plan.programs.push_back(program);
  return seconds_per_call(std::move(plan), kernels);
}

Seconds measure_transfer(Kernel kernel, uint32_t ranks, uint32_t groups, Bytes bytes, KernelSet kernels,
                         Seconds seconds) {
  constexpr uint32_t kFewest = 8, kMost = 120;
  const bool exchanges = kernel == Kernel::send;
  const auto with = [&](uint32_t calls) {
    return seconds_per_call(exchanges ? exchange_plan(groups, bytes, calls, kernels)
                                      : collective_plan(kernel, ranks, groups, bytes, calls, kernels, true),
                            kernels);
  };
  const uint32_t calls = static_cast<uint32_t>(std::clamp<double>(seconds / with(kFewest) / 4, kFewest, kMost));
  const Seconds compute = seconds_per_call(
      collective_plan(exchanges ? Kernel::all_reduce : kernel, ranks, groups, bytes, calls, kernels, false), kernels);
  // There and back again is two transfers and two compute tasks.
  const Seconds whole = exchanges ? with(calls) / 2 : with(calls);
  return std::max(1e-9, whole - compute);
}

}  // namespace pgram
