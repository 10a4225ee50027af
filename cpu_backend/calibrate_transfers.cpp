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

constexpr uint32_t kTail = 16;  ///< elements that the compute task touches: a cache line

Field float_field(const char* name, uint64_t elements, bool joined = false) {
  Field field;
  field.name = name;
  field.dims = {static_cast<uint32_t>(elements), 1};
  field.joined = joined;
  return field;
}

/// `bytes` of which the last line is a field of its own.
Record buffer_record(const char* name, Bytes bytes) {
  const uint64_t elements = std::max<uint64_t>(1, bytes / sizeof(float));
  Record record;
  record.name = name;
  record.kind = RecordKind::scratch;
  if (elements > kTail) record.fields.push_back(float_field("body", elements - kTail));
  record.fields.push_back(float_field("tail", std::min<uint64_t>(elements, kTail), elements > kTail));
  record.lay_out();
  return record;
}

/// Builds a body op by op; operands are (formal, whole buffer or tail).
class BodyBuilder {
 public:
  BodyBuilder(Plan& plan, const char* name, std::vector<uint16_t> formals) : plan_(plan) {
    body_.name = name;
    body_.formals = std::move(formals);
  }
  Operand all(uint8_t formal) const {
    return {formal, static_cast<uint8_t>(plan_.records[body_.formals[formal]].fields.size()), 0};
  }
  Operand tail(uint8_t formal) const {
    return {formal, 1, static_cast<uint16_t>(plan_.records[body_.formals[formal]].fields.size() - 1)};
  }
  void add(Kernel kernel, std::vector<Operand> operands, int writes, Stream stream = Stream::compute,
           uint16_t comm = kNoComm) {
    Op op;
    op.kernel = kernel;
    op.stream = stream;
    op.comm = comm;
    op.num_operands = static_cast<uint8_t>(operands.size());
    op.num_writes = static_cast<uint8_t>(writes);
    op.read_writes = kernel == Kernel::all_reduce ? 1 : 0;
    op.first_operand = static_cast<uint32_t>(body_.operands.size());
    for (const Operand& operand : operands) {
      body_.operands.push_back(operand);
      if (kernel != Kernel::zero) op.bytes += operand_shape(plan_, body_, operand).bytes;
    }
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
  for (uint16_t record : plan.bodies[body].formals) program.pools.push_back({record, 1});
  for (uint32_t f = 0; f < program.pools.size(); ++f) program.args.emplace_back(f, 0);
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

Plan collective_plan(Kernel kernel, uint32_t ranks, uint32_t groups, Bytes bytes, uint32_t calls) {
  Plan plan = empty_plan({ranks, groups, 1});
  Communicator comm;
  comm.name = "tp";
  comm.axes = kTp;
  comm.stream = Stream::tensor;
  plan.comms.push_back(comm);
  const Bytes part = std::max<Bytes>(sizeof(float), bytes / ranks / sizeof(float) * sizeof(float));
  const bool in_place = kernel == Kernel::all_reduce, gathers = kernel == Kernel::all_gather;
  plan.records.push_back(buffer_record("source", in_place ? bytes : gathers ? part : part * ranks));
  if (!in_place) plan.records.push_back(buffer_record("result", gathers ? part * ranks : part));
  BodyBuilder body(plan, "collective", in_place ? std::vector<uint16_t>{0} : std::vector<uint16_t>{0, 1});
  body.add(Kernel::zero, {body.tail(0)}, 1);
  if (in_place) {
    body.add(kernel, {body.all(0)}, 1, Stream::tensor, 0);
  } else {
    body.add(kernel, {body.all(1), body.all(0)}, 1, Stream::tensor, 0);
  }
  plan.programs.push_back(repeat(plan, body.finish(), calls));
  return plan;
}

/// Two roles that hand one buffer to and fro.
Plan exchange_plan(uint32_t groups, Bytes bytes, uint32_t calls) {
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
  plan.records.push_back(buffer_record("buffer", bytes));
  BodyBuilder first(plan, "first", {0}), second(plan, "second", {0});
  first.add(Kernel::zero, {first.tail(0)}, 1);
  first.add(Kernel::send, {first.all(0)}, 0, channel_stream(true, false, false), 0);
  first.add(Kernel::recv, {first.all(0)}, 1, channel_stream(true, true, true), 1);
  second.add(Kernel::recv, {second.all(0)}, 1, channel_stream(false, false, true), 0);
  second.add(Kernel::zero, {second.tail(0)}, 1);
  second.add(Kernel::send, {second.all(0)}, 0, channel_stream(false, true, false), 1);
  const uint16_t of_first = first.finish(), of_second = second.finish();
  plan.programs.push_back(repeat(plan, of_first, calls));
  plan.programs.push_back(repeat(plan, of_second, calls));
  return plan;
}

struct Chain {
  Seconds period = 0;  ///< from one compute task's start to the next one's
  Seconds task = 0;    ///< a compute task
};

/// Runs a plan whose compute tasks form a chain on rank 0; medians over its tasks.
Chain run_chain(Plan& plan, KernelSet kernels) {
  link(plan);
  CpuOptions options;
  options.kernels = kernels;
  CpuBackend backend(plan, options);
  RunOptions run_options;
  run_options.steps = 2;  // the first one warms up
  const RunResult result = run(plan, backend, run_options);
  std::vector<Seconds> periods, tasks;
  const Span* before = nullptr;
  for (const Span& span : result.timeline.of_step(1)) {
    if (span.rank != 0 || static_cast<Stream>(span.stream) != Stream::compute) continue;
    tasks.push_back(to_seconds(span.end - span.start));
    if (before) periods.push_back(to_seconds(span.start - before->start));
    before = &span;
  }
  return {median(periods), median(tasks)};
}

}  // namespace

Seconds measure_task_overhead(KernelSet kernels) {
  constexpr uint32_t kFiller = 1 << 22, kTasks = 800;
  Plan plan = empty_plan({1, 1, 1});
  plan.records.push_back(buffer_record("filler", kFiller * sizeof(float)));
  plan.records.push_back(buffer_record("small", kTail * sizeof(float)));
  // While the large one is zeroed, the small ones queue up.
  BodyBuilder large(plan, "large", {0}), small(plan, "small", {1});
  large.add(Kernel::zero, {large.all(0)}, 1);
  small.add(Kernel::zero, {small.all(0)}, 1);
  const uint16_t of_large = large.finish(), of_small = small.finish();
  Program program = repeat(plan, of_small, kTasks);
  program.pools.push_back({0, 1});
  program.args.emplace_back(1, 0);
  Call call;
  call.body = of_large;
  call.first_arg = 1;
  program.calls.insert(program.calls.begin(), call);
  plan.programs.push_back(program);
  const Chain chain = run_chain(plan, kernels);
  return std::max(0.0, chain.period - chain.task);
}

Seconds measure_transfer(Kernel kernel, uint32_t ranks, uint32_t groups, Bytes bytes, KernelSet kernels,
                         Seconds task_overhead) {
  constexpr Bytes kLong = 1 << 20;
  const uint32_t calls = bytes < kLong ? 120 : 24;
  const bool exchange = kernel == Kernel::send;
  Plan plan = exchange ? exchange_plan(groups, bytes, calls) : collective_plan(kernel, ranks, groups, bytes, calls);
  const Chain chain = run_chain(plan, kernels);
  // There and back again is two transfers and two compute tasks.
  const Seconds period = exchange ? chain.period / 2 : chain.period;
  return std::max(1e-9, period - chain.task - task_overhead);
}

}  // namespace pgram
