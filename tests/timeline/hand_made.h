// A plan of two pipeline ranks and a timeline of it, small enough to add up by hand. One unit = 1 ns = 1000 ps.
#pragma once
#include <unistd.h>

#include <filesystem>
#include <string>
#include <vector>

#include "core/timeline/timeline.h"

namespace pgram {

constexpr Picoseconds kUnit = 1000;
constexpr Stream kSendStream = channel_stream(true, false, false), kReceiveStream = channel_stream(true, false, true);

inline Op make_op(Kernel kernel, Stream stream, uint16_t comm = kNoComm, uint64_t flops = 0, uint64_t bytes = 0) {
  Op op;
  op.kernel = kernel;
  op.stream = stream;
  op.comm = comm;
  op.flops = flops;
  op.bytes = bytes;
  op.num_operands = is_communication(kernel) ? 1 : 0;
  op.first_operand = bytes == 64 ? 1 : bytes == 32 ? 2 : 0;  // the field of that size, see hand_made_plan()
  op.num_writes = is_communication(kernel) && kernel != Kernel::send ? 1 : 0;
  return op;
}

/// Bodies first.f {compute, send}, second.f {recv, compute}, sync.b {compute, all-reduce on tensor, on data}.
/// Calls of role 0: first.f(mb 0), first.f(mb 1), sync.b; of role 1: second.f(mb 0), second.f(mb 1), sync.b.
inline Plan hand_made_plan(uint32_t tp = 1) {
  Plan plan;
  plan.mesh.size = {tp, 1, 2};
  plan.attributes.resize(1);
  plan.comms.resize(3);
  plan.comms[0].name = "up.f";
  plan.comms[0].axes = kPp;
  plan.comms[0].directed = true;
  plan.comms[0].source = 0;
  plan.comms[0].target = 1;
  plan.comms[1].name = "tp";
  plan.comms[1].axes = kTp;
  plan.comms[1].stream = Stream::tensor;
  plan.comms[2].name = "dp";
  plan.comms[2].axes = kDp;
  plan.comms[2].stream = Stream::data;

  plan.records.resize(1);
  plan.records[0].name = "edge";
  plan.records[0].kind = RecordKind::edge;
  plan.records[0].fields.resize(3);
  plan.records[0].fields[0].name = "x";
  plan.records[0].fields[0].dims[0] = 32;  // 128 bytes
  plan.records[0].fields[1].name = "g";
  plan.records[0].fields[1].dims[0] = 16;  // 64 bytes
  plan.records[0].fields[2].name = "h";
  plan.records[0].fields[2].dims[0] = 8;  // 32 bytes
  plan.records[0].lay_out();

  plan.bodies.resize(3);
  for (Body& body : plan.bodies) {
    body.formals = {0};
    body.operands = {Operand{0, 1, 0}, Operand{0, 1, 1}, Operand{0, 1, 2}};
  }
  plan.bodies[0].name = "first.f";
  plan.bodies[0].category = Category::forward;
  plan.bodies[0].ops = {make_op(Kernel::opaque, Stream::compute, kNoComm, 600, 60),
                        make_op(Kernel::send, kSendStream, 0, 0, 128)};
  plan.bodies[1].name = "second.f";
  plan.bodies[1].category = Category::forward;
  plan.bodies[1].ops = {make_op(Kernel::recv, kReceiveStream, 0, 0, 128), make_op(Kernel::opaque, Stream::compute)};
  plan.bodies[2].name = "sync.b";
  plan.bodies[2].category = Category::backward;
  plan.bodies[2].ops = {make_op(Kernel::opaque, Stream::compute), make_op(Kernel::all_reduce, Stream::tensor, 1, 0, 64),
                        make_op(Kernel::all_reduce, Stream::data, 2, 0, 32)};

  plan.programs.resize(2);
  for (uint16_t role = 0; role < 2; ++role) {
    Program& program = plan.programs[role];
    program.slot_ops = {{SlotKind::F, role, 0, 0, 1}, {SlotKind::F, role, 1, 1, 1}, {SlotKind::B, role, 0, 2, 1}};
    program.pools = {{0, 1}};
    program.args = {Arg(0, 0), Arg(0, 0), Arg(0, 0)};
    program.calls.resize(3);
    for (uint16_t at = 0; at < 3; ++at) {
      program.calls[at].slot_op = at;
      program.calls[at].first_arg = at;
      program.calls[at].body = at < 2 ? role : 2;
      program.calls[at].micro_batch = at < 2 ? at : 0;
      program.calls[at].layer = at < 2 ? 5 : 0;
    }
  }
  plan.facts = {{"flops_per_step", "1000"}, {"model", "hand-made"}};
  return plan;
}

inline Span make_span(uint32_t rank, uint32_t call, uint16_t op, Stream stream, Picoseconds start, Picoseconds end,
                      uint32_t wait_ns = 0) {
  Span span;
  span.rank = rank;
  span.call = call;
  span.op = op;
  span.stream = static_cast<uint8_t>(stream);
  span.set_wait(Picoseconds{wait_ns} * 1000);
  span.start = start * kUnit;
  span.end = end * kUnit;
  return span;
}

/// One step [0, 100] of one rank of each role:
///   rank 0  compute [0,10] [10,20] [50,80]   send [10,14] [20,24]            tensor [75,90]  data [85,95]
///   rank 1  compute [14,34] [34,54] [54,84]  recv [0,14] 10 of it waiting,   tensor [84,94]  data [84,100]
///                                                 [14,24] 6 of it waiting
inline std::vector<Span> spans_of_role(uint32_t role, uint32_t rank) {
  if (role == 0)
    return {make_span(rank, 0, 0, Stream::compute, 0, 10),  make_span(rank, 1, 0, Stream::compute, 10, 20),
            make_span(rank, 2, 0, Stream::compute, 50, 80), make_span(rank, 2, 1, Stream::tensor, 75, 90),
            make_span(rank, 2, 2, Stream::data, 85, 95),    make_span(rank, 0, 1, kSendStream, 10, 14),
            make_span(rank, 1, 1, kSendStream, 20, 24)};
  return {make_span(rank, 0, 1, Stream::compute, 14, 34),  make_span(rank, 1, 1, Stream::compute, 34, 54),
          make_span(rank, 2, 0, Stream::compute, 54, 84),  make_span(rank, 2, 1, Stream::tensor, 84, 94),
          make_span(rank, 2, 2, Stream::data, 84, 100),    make_span(rank, 0, 0, kReceiveStream, 0, 14, 10),
          make_span(rank, 1, 0, kReceiveStream, 14, 24, 6)};
}

inline std::vector<Span> hand_made_spans() {
  std::vector<Span> spans = spans_of_role(0, 0);
  const auto second = spans_of_role(1, 1);
  spans.insert(spans.end(), second.begin(), second.end());
  return spans;
}

inline Timeline hand_made_timeline() {
  Timeline timeline;
  timeline.plan = std::make_shared<Plan>(hand_made_plan());
  timeline.facts = {{"peak_flops_per_rank", "2e10"}, {"tokens_per_step", "8"}};
  timeline.steps = {{0, 14, 0, 100 * kUnit, 0, 0}};
  timeline.set_spans(hand_made_spans());
  timeline.counter_names = {"queue", "memory"};
  timeline.counters = {
      {0, 1, 0, 1000}, {0, 1, 20 * kUnit, 3000}, {0, 1, 80 * kUnit, 500}, {1, 1, 30 * kUnit, 2000}, {1, 0, 0, 9999}};
  return timeline;
}

/// Four ranks (tp 2, pp 2; tp fastest: ranks 0, 1 have role 0, ranks 2, 3 role 1), of which 0 and 2 stand for all.
inline Timeline folded_timeline() {
  Timeline timeline = hand_made_timeline();
  timeline.plan = std::make_shared<Plan>(hand_made_plan(2));
  timeline.representative = {0, 0, 2, 2};
  std::vector<Span> spans = spans_of_role(0, 0);
  const auto second = spans_of_role(1, 2);
  spans.insert(spans.end(), second.begin(), second.end());
  timeline.set_spans(spans);
  for (CounterSample& sample : timeline.counters) sample.rank *= 2;
  return timeline;
}

/// The same four ranks, each with its own spans: measured, everything computed taking `stretch` times as long as in
/// the folded timeline (starts included, so that nothing overlaps that did not).
inline Timeline unfolded_timeline(const std::shared_ptr<const Plan>& plan, int stretch) {
  Timeline timeline;
  timeline.plan = plan;
  timeline.source = TimelineSource::measured;
  std::vector<Span> spans;
  for (uint32_t rank = 0; rank < 4; ++rank) {
    for (Span span : spans_of_role(rank / 2, rank)) {
      span.start *= stretch;
      span.end *= stretch;
      spans.push_back(span);
    }
  }
  timeline.steps = {{0, spans.size(), 0, 100 * kUnit * stretch, 1.5, 0.25}};
  timeline.set_spans(spans);
  return timeline;
}

/// A path that no other test uses; what lies there is removed at the end.
class TemporaryFile {
 public:
  explicit TemporaryFile(const std::string& name)
      : path_(std::filesystem::temp_directory_path() / ("pgram-" + std::to_string(getpid()) + "-" + name)) {}
  ~TemporaryFile() {
    std::error_code ignored;
    std::filesystem::remove(path_, ignored);
  }
  std::string path() const { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace pgram
