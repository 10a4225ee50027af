#include "core/timeline/step_graph.h"

#include <algorithm>
#include <array>
#include <limits>
#include <utility>

#include "core/timeline/lookup.h"

namespace pgram {

StepGraph::StepGraph(const Timeline& timeline, size_t step)
    : StepGraph(timeline, step, std::make_unique<const PlanOrder>(*timeline.plan)) {}

StepGraph::StepGraph(const Timeline& timeline, size_t step, std::unique_ptr<const PlanOrder> made)
    : StepGraph(timeline, step, *made) {
  made_ = std::move(made);
}

StepGraph::StepGraph(const Timeline& timeline, size_t step, const PlanOrder& order)
    : timeline_(timeline),
      step_(step),
      order_(order),
      spans_(timeline.of_step(step)),
      ranks_(timeline.plan->mesh.ranks()),
      members_(ranks_.size()) {
  find_roles();
  make_room();
  for (uint32_t rank = 0; rank < ranks_.size(); ++rank) {
    ranks_[rank].own = own(rank);
    ranks_[rank].order = &order_.role(roles_[rank]);
    if (own(rank) == rank) add_rank(rank);
  }
  for (RankTasks& tasks : ranks_) {
    tasks.lane_spans = ranks_[tasks.own].lane_spans;
    tasks.by_task = ranks_[tasks.own].by_task;
  }
  for (const Body& body : plan().bodies) {
    for (const Op& op : body.ops) {
      if (is_communication(op.kernel)) communicating_ |= 1u << static_cast<int>(op.stream);
    }
  }
  note_contention();
}

void StepGraph::find_roles() {
  const uint32_t stages = plan().mesh.size[2];
  stage_stride_ = plan().mesh.stride(2);
  roles_.reserve(ranks_.size());
  one_class_.assign(stages, true);
  std::vector<uint32_t> class_of(stages, kNone);
  for (uint32_t rank = 0; rank < ranks_.size(); ++rank) {
    const uint32_t role = rank / stage_stride_ % stages;
    roles_.push_back(role);
    if (class_of[role] == kNone) class_of[role] = own(rank);
    if (class_of[role] != own(rank)) one_class_[role] = one_class_a_role_ = false;
  }
}

void StepGraph::make_room() {
  size_t lanes = 0;
  for (uint32_t rank = 0; rank < ranks_.size(); ++rank) {
    if (own(rank) == rank) lanes += order_.role(roles_[rank]).num_lanes();
  }
  lane_spans_.reserve(lanes);  // which stay where they are
}

void StepGraph::add_rank(uint32_t rank) {
  const auto spans = pgram::of_rank(spans_, rank);
  const RoleOrder& order = this->order(rank);
  const size_t before = lane_spans_.size();
  const Span* latest = add_in_order(order, spans);
  if (latest) {
    ranks_[rank].lane_spans = lane_spans_.data() + before;
  } else {
    lane_spans_.resize(before);
    add_by_task(order, plan().programs[roles_[rank]], spans);
    ranks_[rank].by_task = &by_task_.back();
    if (!spans.empty()) latest = &*std::ranges::max_element(spans, {}, &Span::end);
  }
  if (!latest || (last_ && latest->end <= last_end_)) return;
  last_ = Task{rank, latest->call, latest->op};
  last_end_ = latest->end;
}

/// Where every task has a span and the spans of each stream are in the plan's order and end in it: gives the first that
/// ends last. Else, or where there are none: null.
const Span* StepGraph::add_in_order(const RoleOrder& order, std::span<const Span> spans) {
  if (spans.size() != order.size()) return nullptr;
  struct Run {
    const Span *next = nullptr, *end = nullptr;
    Picoseconds latest = std::numeric_limits<Picoseconds>::min();
  };
  std::array<Run, kStreams> runs;
  const Span* latest = nullptr;
  while (!spans.empty()) {
    const auto stream = of_first_stream(spans);
    const Picoseconds end = stream.back().end;
    if (!latest || end > latest->end) latest = &*std::ranges::lower_bound(stream, end, {}, &Span::end);
    runs[stream.front().stream] = {stream.data(), stream.data() + stream.size()};
    spans = spans.subspan(stream.size());
  }
  for (uint32_t call = 0; call < order.num_calls(); ++call) {
    for (const BodyOrders::Lane& lane : order.lanes(call)) {
      Run& run = runs[static_cast<size_t>(lane.stream)];
      if (static_cast<size_t>(run.end - run.next) < lane.num_ops) return nullptr;
      lane_spans_.push_back(index_of(*run.next));
      const Span* span = run.next;
      Picoseconds before = run.latest;
      bool differs = false;
      for (const uint16_t op : order_.bodies().ops_of(lane)) {
        differs |= span->call != call || span->op != op || span->end < before;
        before = span++->end;
      }
      if (differs) return nullptr;
      run = {span, run.end, before};
    }
  }
  return latest;
}

void StepGraph::add_by_task(const RoleOrder& order, const Program& program, std::span<const Span> spans) {
  ByTask& tasks = by_task_.emplace_back();
  tasks.span_of.assign(order.size(), kNone);
  for (const Span& span : spans) tasks.span_of[order.number({span.call, span.op})] = index_of(span);
  tasks.last_so_far.reserve(order.size());
  std::array<RoleTask, kStreams> last;
  last.fill(kNobody);
  for (uint32_t call = 0; call < order.num_calls(); ++call) {
    const Body& body = plan().bodies[program.calls[call].body];
    for (uint16_t op = 0; op < body.ops.size(); ++op) {
      RoleTask& best = last[static_cast<size_t>(body.ops[op].stream)];
      const uint32_t here = tasks.span_of[tasks.last_so_far.size()];
      if (here != kNone && (best == kNobody || spans_[here].end >= spans_[tasks.span_of[order.number(best)]].end))
        best = {call, op};
      tasks.last_so_far.push_back(best);
    }
  }
}

void StepGraph::note_contention() {
  const auto records = std::ranges::equal_range(timeline_.contention, step_, {}, &Contention::step);
  contention_ = {records.begin(), records.end()};
  if (contention_.empty()) return;
  contended_.resize(spans_.size() / 64 + 1);
  for (const Contention& record : contention_) contended_[record.span / 64] |= uint64_t{1} << record.span % 64;
}

const std::vector<StepGraph::Member>& StepGraph::members_of(uint16_t comm, uint32_t rank) const {
  std::vector<std::vector<Member>>& of_rank = members_[rank];
  if (of_rank.empty()) of_rank.resize(plan().comms.size());
  std::vector<Member>& list = of_rank[comm];
  if (!list.empty()) return list;
  // Alike ranks come at the same time: one of them is enough, and that the asking rank itself where it is among them.
  list.push_back({rank, own(rank)});
  for (uint32_t member : members(plan(), comm, rank)) {
    const uint32_t alike = own(member);
    if (std::ranges::any_of(list, [&](const Member& m) { return m.own == alike; })) continue;
    list.push_back({member, alike});
  }
  return list;
}

std::optional<Task> StepGraph::at_turn(uint32_t rank, uint16_t comm, uint32_t turn) const {
  const RankTasks& tasks = ranks_[rank];
  const auto task = tasks.order->at_turn(comm, turn);
  if (!task || (!tasks.lane_spans && tasks.by_task->span_of[tasks.order->number(*task)] == kNone)) return std::nullopt;
  return Task{rank, task->call, task->op};
}

Task StepGraph::slowest(const Task& task) const {
  const BodyOrders::OpOrder& op = this->op(task);
  if (op.in_role && one_class_[roles_[task.rank]]) return task;  // all others are alike
  if (op.comm >= plan().comms.size()) return task;
  const uint32_t turn = order(task.rank).turn({task.call, task.op});
  Task last = task;
  Picoseconds latest = span(task).start;
  const auto meet = [&](uint32_t rank) {
    const auto other = at_turn(rank, op.comm, turn);
    if (!other || span(*other).start <= latest) return;
    last = *other;
    latest = span(*other).start;
  };
  for_members(op.comm, task.rank, meet);
  return last;
}

/// Calls `visit` with one member of each class, in the order of members(); that of the rank's own class may be left
/// out.
template <class Visit>
void StepGraph::for_members(uint16_t index, uint32_t rank, Visit&& visit) const {
  const Communicator& comm = plan().comms[index];
  const uint32_t role = roles_[rank];
  if (comm.directed) {
    const uint32_t with_role_0 = rank - role * stage_stride_;
    if (role == comm.source) visit(with_role_0 + comm.target * stage_stride_);
    if (role == comm.target) visit(with_role_0 + comm.source * stage_stride_);
  } else if (one_class_a_role_ && comm.axes & kPp && comm.roles.empty()) {
    auto first = plan().mesh.coordinates(rank);
    for (const int axis : {0, 1}) {
      if (comm.axes & 1 << axis) first[axis] = 0;
    }
    for (first[2] = 0; first[2] < one_class_.size(); ++first[2]) {
      if (first[2] != role) visit(plan().mesh.rank(first));
    }
  } else {
    for (const Member& member : members_of(index, rank)) visit(member.rank);
  }
}

std::optional<Task> StepGraph::partner(const Task& task) const {
  const BodyOrders::OpOrder& op = this->op(task);
  if (op.comm >= plan().comms.size() || !is_point_to_point(op.kernel)) return std::nullopt;
  for (uint32_t member : members(plan(), op.comm, task.rank)) {
    if (roles_[member] == roles_[task.rank]) continue;
    return at_turn(member, op.comm, order(task.rank).turn({task.call, task.op}));
  }
  return std::nullopt;
}

Picoseconds StepGraph::work(const Task& task) const {
  if (!is_communication(kernel(task))) return span(task).start;
  return work(task, slowest(task));
}

Picoseconds StepGraph::work(const Task& task, const Task& slowest) const {
  constexpr Picoseconds kUnit = 1000;  // of Span::wait()
  const Span& own = span(task);
  const Picoseconds known = std::min(own.start + own.wait(), own.end);
  const Picoseconds latest = span(slowest).start;
  return latest >= known && latest < known + kUnit ? std::min(latest, own.end) : known;
}

std::optional<Task> StepGraph::explains(const Task& task) const {
  const RankTasks& tasks = ranks_[task.rank];
  const Picoseconds start = span(task).start;
  std::optional<Task> last;
  Picoseconds latest = 0;
  tasks.order->for_predecessors({task.call, task.op}, [&](RoleTask before) {
    if (!tasks.lane_spans) before = tasks.by_task->last_so_far[tasks.order->number(before)];
    if (before == kNobody) return true;
    const Task candidate{task.rank, before.call, before.op};
    const Picoseconds end = std::min(span(candidate).end, start);
    if (last && end <= latest) return true;
    last = candidate;
    latest = end;
    return latest < start;  // else nothing ends later
  });
  return last;
}

uint16_t StepGraph::lone_collective_before(const Span& task, uint32_t rank, Picoseconds from) const {
  const uint32_t role = roles_[rank];
  if (!one_class_[role]) return kNoOp;
  const Body& body = plan().bodies[plan().programs[role].calls[task.call].body];
  if (body.grouped) return kNoOp;
  const RoleOrder& order = order_.role(role);
  const uint32_t* const lanes = ranks_[rank].lane_spans + order.first_lane(task.call);
  const Op& op = body.ops[task.op];
  for (uint32_t w = op.first_wait; w < op.first_wait + op.num_waits; ++w) {
    const BodyOrders::OpOrder& awaited = order.op({task.call, body.waits[w]});
    const uint32_t index = lanes[awaited.lane] + awaited.place;
    const Span& span = spans_[index];
    if (span.end < task.start) continue;
    const bool lone = awaited.in_role && is_communication(awaited.kernel) && !span.waits() && !is_contended(index);
    return lone && span.start <= from ? body.waits[w] : kNoOp;
  }
  return kNoOp;
}

std::span<const Contention> StepGraph::contention(const Task& task) const {
  const uint32_t index = index_of(task);
  if (!is_contended(index)) return {};
  const auto range = std::ranges::equal_range(contention_, index, {}, &Contention::span);
  return {range.begin(), range.end()};
}

}  // namespace pgram
