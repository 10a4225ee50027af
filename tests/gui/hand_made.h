// A small Plan and timelines made by hand for the tests of the window: two pipeline ranks, two micro-batches.
#pragma once
#include <memory>

#include "core/timeline/timeline.h"

namespace pgram::gui::testing {

constexpr Picoseconds kMs = 1'000'000'000;

inline Op make_op(Kernel kernel, Stream stream, uint16_t comm = kNoComm) {
  Op op;
  op.kernel = kernel;
  op.stream = stream;
  op.comm = comm;
  constexpr uint64_t kMatrix = 64 * 64 * 4;  // bytes of the one field there is
  op.flops = is_communication(kernel) ? 0 : 2 * 64 * 64 * 64;
  op.bytes = is_communication(kernel) ? kMatrix : 3 * kMatrix;
  return op;
}

/// Role 0 runs F0 F1 B0 B1, each forward two matrix products and a send; role 1 a receive and the same products.
inline std::shared_ptr<Plan> make_plan_by_hand(uint32_t tp = 1) {
  auto plan = std::make_shared<Plan>();
  plan->mesh.size = {tp, 1, 2};
  plan->attributes.resize(1);
  Field field;
  field.name = "x";
  field.num_dims = 2;
  field.dims = {64, 64};
  plan->records.push_back({"edge", RecordKind::edge, {field}, 0});
  plan->records[0].lay_out();
  plan->comms.push_back({"forward", kPp, true, 0, 1, {}, Stream::misc});
  const Stream sends = channel_stream(true, false, false), receives = channel_stream(true, false, true);
  Op product = make_op(Kernel::matmul, Stream::compute), gradient = make_op(Kernel::matmul_dx, Stream::compute);
  product.num_operands = gradient.num_operands = 3;
  product.num_writes = gradient.num_writes = 1;
  const std::vector<Operand> same(3);
  Op send = make_op(Kernel::send, sends, 0), receive = make_op(Kernel::recv, receives, 0);
  send.num_operands = receive.num_operands = receive.num_writes = 1;  // the edge
  plan->bodies.push_back({"layer.f", Category::forward, false, {0}, {product, product}, same, {}});
  plan->bodies.push_back({"layer.b", Category::backward, false, {0}, {gradient, gradient}, same, {}});
  plan->bodies.push_back({"send", Category::pipeline_comm, false, {0}, {send}, {Operand{}}, {}});
  plan->bodies.push_back({"receive", Category::pipeline_comm, false, {0}, {receive}, {Operand{}}, {}});
  for (uint16_t role = 0; role < 2; ++role) {
    Program program;
    program.pools.push_back({0, 1});
    const auto add = [&](SlotKind kind, uint16_t micro_batch, uint16_t body) {
      Call call;
      call.body = body;
      call.micro_batch = micro_batch;
      call.first_arg = static_cast<uint32_t>(program.args.size());
      for (size_t i = 0; i < plan->bodies[body].formals.size(); ++i) program.args.emplace_back(0, 0);
      call.slot_op = static_cast<uint32_t>(program.slot_ops.size());
      program.slot_ops.push_back({kind, role, micro_batch, static_cast<uint32_t>(program.calls.size()), 1});
      program.calls.push_back(call);
    };
    for (uint16_t mb = 0; mb < 2; ++mb) {
      if (role == 1) add(SlotKind::recv_f, mb, 3);
      add(SlotKind::F, mb, 0);
      if (role == 0) add(SlotKind::send_f, mb, 2);
    }
    for (uint16_t mb = 0; mb < 2; ++mb) add(SlotKind::B, mb, 1);
    plan->programs.push_back(program);
  }
  plan->facts["model"] = "by-hand";
  return plan;
}

/// Rank 0: F0 [0,2) F1 [2,4), bubble, B0 [8,10) B1 [10,12), sends [2,3) [4,5). Rank 1: receives [0,3) [3,5), F0 [3,5),
/// F1 [5,7), B0 [7,9), B1 [9,11). All in ms, times `scale`; each body's two products take half each; the first receive
/// waits 2 ms.
inline std::shared_ptr<Timeline> make_timeline_by_hand(std::shared_ptr<const Plan> plan, double scale = 1,
                                                       Picoseconds origin = 0) {
  auto timeline = std::make_shared<Timeline>();
  timeline->plan = plan;
  std::vector<Span> spans;
  const auto at = [&](double ms) { return origin + static_cast<Picoseconds>(ms * scale * kMs); };
  const auto add = [&](uint32_t rank, uint32_t call, double from, double to, double wait_ms = 0) {
    const Body& body = plan->bodies[plan->programs[plan->role(rank)].calls[call].body];
    const double share = (to - from) / static_cast<double>(body.ops.size());
    for (uint16_t op = 0; op < body.ops.size(); ++op) {
      Span span;
      span.rank = rank;
      span.call = call;
      span.op = op;
      span.stream = static_cast<uint8_t>(body.ops[op].stream);
      span.set_wait(static_cast<Picoseconds>(wait_ms * scale * 1e9));
      span.start = at(from + op * share);
      span.end = at(from + (op + 1) * share);
      spans.push_back(span);
    }
  };
  for (uint32_t rank = 0; rank < plan->mesh.ranks(); ++rank) {
    if (plan->role(rank) == 0) {
      add(rank, 0, 0, 2), add(rank, 2, 2, 4), add(rank, 4, 8, 10), add(rank, 5, 10, 12);
      add(rank, 1, 2, 3), add(rank, 3, 4, 5);
    } else {
      add(rank, 1, 3, 5), add(rank, 3, 5, 7), add(rank, 4, 7, 9), add(rank, 5, 9, 11);
      add(rank, 0, 0, 3, 2), add(rank, 2, 3, 5);
    }
  }
  Step step;
  step.num_spans = spans.size();
  step.start = at(0);
  step.end = at(12);
  timeline->steps.push_back(step);
  timeline->set_spans(std::move(spans));
  timeline->counter_names = {"memory"};
  for (uint32_t rank = 0; rank < plan->mesh.ranks(); ++rank) {
    for (const auto& [ms, mebibytes] : {std::pair{0, 40}, {2, 60}, {4, 80}, {10, 60}, {12, 40}}) {
      timeline->counters.push_back({rank, 0, at(ms), int64_t{mebibytes + (rank == 0 ? 8 : 0)} << 20});
    }
  }
  return timeline;
}

}  // namespace pgram::gui::testing
