#include "sim/collectives/trace.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <numeric>
#include <span>
#include <string>
#include <tuple>

#include "core/base/errors.h"
#include "core/plan/link.h"
#include "core/plan/verify.h"

namespace pgram::sim {

namespace {

/// How many members' data each place has in each block.
class Held {
 public:
  explicit Held(const StepProgram& program) : program_(program), counts_(places() * program.blocks, 0) {
    const uint32_t n = program.members;
    for (uint32_t m = 0; m < n; ++m) {
      for (uint32_t b = 0; b < program.blocks; ++b) {
        const bool own_part = program.position[b] / std::max(1u, program.blocks / n) == m;
        at(m, b) = starts_with(m, own_part);
      }
    }
  }

  /// What the target then has.
  uint32_t arrive(const Transfer& t, uint32_t i) {
    uint32_t& target = at(t.target, t.target_block + i);
    const uint32_t brings = program_.separate_output ? 1 : at(t.source, t.source_block + i);
    return target = t.reduces ? target + brings : brings;
  }
  uint32_t complete(uint32_t place) {
    const uint32_t* first = &at(place, 0);
    return static_cast<uint32_t>(std::count(first, first + program_.blocks, sums() ? program_.members : 1));
  }
  bool sums() const {
    return program_.collective == Collective::all_reduce || program_.collective == Collective::reduce_scatter ||
           program_.collective == Collective::reduce;
  }

 private:
  size_t places() const { return program_.members + program_.switches; }
  uint32_t& at(uint32_t place, uint32_t block) { return counts_[size_t{place} * program_.blocks + block]; }
  uint32_t starts_with(uint32_t member, bool own_part) const {
    switch (program_.collective) {
      case Collective::all_gather:
      case Collective::all_to_all:
        return own_part;
      case Collective::broadcast:
        return member == 0;
      case Collective::send_recv:
        return 0;
      default:
        return 1;
    }
  }

  const StepProgram& program_;
  std::vector<uint32_t> counts_;
};

/// "chunk 2", "chunks 4-7", "chunks 0, 8".
std::string chunk_text(const StepProgram& program, uint32_t first, uint32_t count) {
  std::vector<uint32_t> positions;
  for (uint32_t i = 0; i < count; ++i) positions.push_back(program.position[first + i]);
  std::sort(positions.begin(), positions.end());
  std::string text;
  for (size_t i = 0; i < positions.size();) {
    size_t end = i + 1;
    while (end < positions.size() && positions[end] == positions[end - 1] + 1) ++end;
    if (text.size() > 24) return "chunks " + text + ", ...";
    text += (text.empty() ? "" : ", ") + std::to_string(positions[i]);
    if (end - i > 1) text += "-" + std::to_string(positions[end - 1]);
    i = end;
  }
  return (count == 1 ? "chunk " : "chunks ") + text;
}

/// The streams of a rank, given out so that what happens at once lies on different ones.
class Lanes {
 public:
  explicit Lanes(uint32_t places) : busy_until_(places) {
    for (auto& rank : busy_until_) rank.fill(-1);
  }

  /// Of a connection's end from its first message on; `preferred` come first.
  template <size_t N>
  Stream take(uint32_t place, const std::array<Stream, N>& preferred, double start, double finish) {
    auto& busy = busy_until_[place];
    for (const Stream stream : preferred) {
      double& until = busy[static_cast<size_t>(stream)];
      if (until > start) continue;
      until = finish;
      return stream;
    }
    return preferred.back();
  }

 private:
  std::vector<std::array<double, kStreams>> busy_until_;
};

constexpr std::array kSums{Stream::data,
                           Stream::misc,
                           channel_stream(true, true, true),
                           channel_stream(false, true, true),
                           channel_stream(true, false, true),
                           channel_stream(false, false, true),
                           Stream::tensor};
constexpr std::array kCopies{Stream::tensor,
                             channel_stream(true, false, true),
                             channel_stream(false, false, true),
                             channel_stream(true, true, true),
                             channel_stream(false, true, true),
                             Stream::misc,
                             Stream::data};
constexpr std::array kSends{channel_stream(false, false, false),
                            channel_stream(true, false, false),
                            channel_stream(false, true, false),
                            channel_stream(true, true, false),
                            neighbour_stream(false),
                            neighbour_stream(true),
                            Stream::compute};

class Tracer {
 public:
  Tracer(const StepProgram& program, const StepTimes& times, Bytes bytes)
      : program_(program),
        times_(times),
        places_(program.members + program.switches),
        held_(program),
        lanes_(places_),
        plan_(std::make_shared<Plan>()) {
    plan_->mesh.size = {1, 1, places_};
    plan_->programs.resize(places_);
    plan_->attributes.resize(1);
    add_records(bytes);
    by_step_.resize(program.transfers.size());
    std::iota(by_step_.begin(), by_step_.end(), 0u);
    std::stable_sort(by_step_.begin(), by_step_.end(), [&](uint32_t a, uint32_t b) {
      return std::pair(program.transfers[a].step, times.start[a]) <
             std::pair(program.transfers[b].step, times.start[b]);
    });
    std::erase_if(by_step_, [&](uint32_t t) { return program.transfers[t].joins(); });
    add_connections();
    name_arrivals();
    for (const uint32_t t : by_step_) add_message(t);
    link(*plan_);
    add_waiting();
  }

  Timeline timeline() {
    Timeline out;
    std::sort(spans_.begin(), spans_.end(), [](const Span& a, const Span& b) {
      return std::tuple(a.rank, a.stream, a.start) < std::tuple(b.rank, b.stream, b.start);
    });
    Step step;
    step.num_spans = spans_.size();
    step.end = to_picoseconds(times_.time);
    out.steps.push_back(step);
    out.set_spans(std::move(spans_));
    out.counter_names = {"complete chunks"};
    out.counters = std::move(samples_);
    out.plan = std::move(plan_);
    return out;
  }

  Plan& plan() { return *plan_; }

 private:
  void add_records(Bytes bytes) {
    const double elements = static_cast<double>(bytes) / program_.blocks / size_of(DType::f32);
    for (const char* name : {"array", "arrived"}) {
      Record record;
      record.name = name;
      record.kind = RecordKind::parameter;  // there before and after
      for (uint32_t b = 0; b < program_.blocks; ++b) {
        Field field;
        field.name = "chunk" + std::to_string(program_.position[b]);
        field.num_dims = 2;
        field.dims = {1, static_cast<uint32_t>(std::clamp(std::round(elements), 1.0, 4e9))};
        field.joined = b > 0;
        record.fields.push_back(field);
      }
      record.lay_out();
      plan_->records.push_back(std::move(record));
      for (Program& program : plan_->programs)
        program.pools.push_back({static_cast<uint16_t>(plan_->records.size() - 1), 1});
      if (!program_.separate_output) break;
    }
  }

  using Connection = std::tuple<uint32_t, uint32_t, uint16_t, bool>;  // source, target, channel, whether it adds up
  Connection connection_of(const Transfer& t) const { return {t.source, t.target, t.channel, t.reduces != 0}; }
  struct Ends {
    uint16_t comm = 0;
    Stream send = Stream::misc, receive = Stream::misc;
  };

  /// A connection keeps its two streams; those that are in use at the same time get different ones.
  void add_connections() {
    std::map<Connection, std::pair<double, double>> used;
    std::vector<Connection> order;
    for (const uint32_t t : by_step_) {
      const Connection c = connection_of(program_.transfers[t]);
      const auto [found, is_new] = used.try_emplace(c, times_.start[t], times_.finish[t]);
      if (is_new) order.push_back(c);
      found->second.first = std::min(found->second.first, times_.start[t]);
      found->second.second = std::max(found->second.second, times_.finish[t]);
    }
    std::stable_sort(order.begin(), order.end(),
                     [&](const Connection& a, const Connection& b) { return used[a].first < used[b].first; });
    for (const Connection& c : order) {
      const auto [source, target, channel, reduces] = c;
      const auto [start, finish] = used[c];
      Communicator comm;
      comm.name = std::to_string(source) + ">" + std::to_string(target) + (reduces ? " sum" : "") +
                  (program_.channels > 1 ? " channel " + std::to_string(channel) : "");
      comm.axes = kPp;
      comm.directed = true;
      comm.source = static_cast<uint16_t>(source);
      comm.target = static_cast<uint16_t>(target);
      Ends ends;
      ends.comm = static_cast<uint16_t>(plan_->comms.size());
      ends.send = lanes_.take(source, kSends, start, finish);
      ends.receive = lanes_.take(target, reduces ? kSums : kCopies, start, finish);
      plan_->comms.push_back(std::move(comm));
      ends_[c] = ends;
    }
  }

  std::string name_of_place(uint32_t place) const {
    if (place < program_.members) return "rank " + std::to_string(place);
    return program_.switches == 1 ? "the switch" : "switch " + std::to_string(place - program_.members);
  }

  /// In the order in which they end, since a sum grows so.
  void name_arrivals() {
    std::vector<uint32_t> order = by_step_;
    std::stable_sort(order.begin(), order.end(),
                     [&](uint32_t a, uint32_t b) { return times_.finish[a] < times_.finish[b]; });
    arrivals_.resize(program_.transfers.size());
    for (uint32_t place = 0; place < places_; ++place) samples_.push_back({place, 0, 0, held_.complete(place)});
    for (const uint32_t t : order) {
      const Transfer& transfer = program_.transfers[t];
      uint32_t sum = 0;
      for (uint32_t i = 0; i < transfer.count; ++i) sum = held_.arrive(transfer, i);
      if (held_.sums() && sum > 1) arrivals_[t] = ", the sum of " + std::to_string(sum);
      samples_.push_back({transfer.target, 0, to_picoseconds(times_.finish[t]), held_.complete(transfer.target)});
    }
  }

  void add_message(uint32_t t) {
    const Transfer& transfer = program_.transfers[t];
    const std::string step = "step " + std::to_string(transfer.step + 1) + ": ";
    const Ends& ends = ends_[connection_of(transfer)];
    add_task(
        t, transfer.source, Kernel::send, ends.send, ends.comm, 0, transfer.source_block,
        step + chunk_text(program_, transfer.source_block, transfer.count) + " to " + name_of_place(transfer.target));
    add_task(t, transfer.target, Kernel::recv, ends.receive, ends.comm, program_.separate_output ? 1 : 0,
             transfer.target_block,
             step + chunk_text(program_, transfer.source_block, transfer.count) + " from " +
                 name_of_place(transfer.source) + arrivals_[t]);
  }

  void add_task(uint32_t t, uint32_t place, Kernel kernel, Stream stream, uint16_t comm, uint16_t record,
                uint32_t block, std::string name) {
    const Transfer& transfer = program_.transfers[t];
    Body body;
    body.name = std::move(name);
    body.category = Category::other;
    body.formals = {record};
    Operand operand;
    operand.field = static_cast<uint16_t>(block);
    operand.fields = static_cast<uint8_t>(transfer.count);
    body.operands.push_back(operand);
    Op op;
    op.kernel = kernel;
    op.stream = stream;
    op.num_operands = 1;
    op.num_writes = kernel == Kernel::recv;
    op.read_writes = kernel == Kernel::recv && transfer.reduces;
    op.comm = comm;
    op.bytes = operand_shape(*plan_, body, operand).bytes;
    body.ops.push_back(op);
    plan_->bodies.push_back(std::move(body));

    Program& program = plan_->programs[place];
    Call call;
    call.body = static_cast<uint16_t>(plan_->bodies.size() - 1);
    call.micro_batch = static_cast<uint16_t>(transfer.step);
    call.first_arg = static_cast<uint32_t>(program.args.size());
    program.args.push_back(Arg(record, 0));
    const auto index = static_cast<uint32_t>(program.calls.size());
    if (program.slot_ops.empty() || program.slot_ops.back().micro_batch != call.micro_batch) {
      SlotOp slot;
      slot.stage = static_cast<uint16_t>(place);
      slot.micro_batch = call.micro_batch;
      slot.first_call = index;
      program.slot_ops.push_back(slot);
    }
    ++program.slot_ops.back().num_calls;
    call.slot_op = static_cast<uint32_t>(program.slot_ops.size() - 1);
    program.calls.push_back(call);

    Span span;
    span.rank = place;
    span.call = index;
    span.stream = static_cast<uint8_t>(stream);
    span.start = to_picoseconds(times_.start[t]);
    span.end = to_picoseconds(times_.finish[t]);
    spans_.push_back(span);
  }

  /// A message has begun when both ends were there; each end's span begins when the plan lets it come, as in every
  /// timeline.
  void add_waiting() {
    std::vector<std::array<Picoseconds, kStreams>> done(places_);
    std::vector<std::vector<Picoseconds>> events;
    for (const Program& program : plan_->programs) events.emplace_back(program.num_events);
    for (Span& span : spans_) {  // of each place in the order of its calls
      const Program& program = plan_->programs[span.rank];
      const Call& call = program.calls[span.call];
      const std::span syncs = std::span(program.syncs).subspan(call.first_sync, call.num_syncs);
      Picoseconds& last = done[span.rank][span.stream];
      Picoseconds comes = last;
      for (const Sync& sync : syncs) {
        if (!sync.records()) comes = std::max(comes, events[span.rank][sync.slot()]);
      }
      last = std::max(last, span.end);
      for (const Sync& sync : syncs) {
        if (sync.records()) events[span.rank][sync.slot()] = last;
      }
      if (comes >= span.start) continue;
      span.set_wait(span.start - comes);
      span.start = comes;
    }
  }

  const StepProgram& program_;
  const StepTimes& times_;
  uint32_t places_;
  Held held_;
  Lanes lanes_;
  std::shared_ptr<Plan> plan_;
  std::vector<uint32_t> by_step_;
  std::map<Connection, Ends> ends_;
  std::vector<std::string> arrivals_;
  std::vector<Span> spans_;
  std::vector<CounterSample> samples_;
};

}  // namespace

Timeline step_timeline(const StepProgram& program, const StepTimes& times, Protocol protocol, Bytes bytes,
                       const Cluster& cluster) {
  uint32_t most = 0;
  for (const Transfer& t : program.transfers) most = std::max(most, t.count);
  if (program.messages() > kMostTraced || program.blocks > kMostTracedBlocks || most > UINT8_MAX)
    throw InputError("timeline", std::to_string(program.messages()) + " messages of " + std::to_string(program.blocks) +
                                     " chunks, and a timeline shows at most " + std::to_string(kMostTraced) + " of " +
                                     std::to_string(kMostTracedBlocks) +
                                     " (255 in one): take fewer members, chunks or channels");
  Tracer tracer(program, times, bytes);
  const std::map<std::string, std::string> facts{{"collective", name_of(program.collective)},
                                                 {"algorithm", name_of(program.algorithm)},
                                                 {"protocol", name_of(protocol)},
                                                 {"bytes", std::to_string(bytes)},
                                                 {"channels", std::to_string(program.channels)},
                                                 {"chunks", std::to_string(program.chunks)},
                                                 {"cluster", cluster.name}};
  tracer.plan().facts = facts;
  if (const std::string wrong = verify(tracer.plan()); !wrong.empty())
    throw RunError("the steps make no good plan: " + wrong);
  Timeline timeline = tracer.timeline();
  timeline.facts = facts;
  timeline.facts["device"] = cluster.device.name;
  timeline.facts["network"] = "step";
  return timeline;
}

}  // namespace pgram::sim
