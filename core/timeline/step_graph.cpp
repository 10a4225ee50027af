#include "core/timeline/step_graph.h"

#include <algorithm>
#include <array>
#include <ranges>
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
      stage_stride_(timeline.plan->mesh.stride(2)),
      class_of_(timeline.plan->mesh.ranks()),
      classes_of_(timeline.plan->mesh.size[2]) {
  find_classes();
  note_contention();
  if (timeline.steps.size() == 1 && !timeline.alike.empty())
    patterns_.resize(std::ranges::max(timeline.alike | std::views::transform(&AlikeCall::pattern)) + 1);
  gaps_.reserve(timeline.alike.size());
  loose_.reserve(timeline.alike.size());
  streams_.reserve(classes_.size());  // so that they stay where they are
  computes_.reserve(classes_.size());
  std::span<const Span> rest = spans_;
  for (uint32_t rank = 0; rank < class_of_.size(); ++rank) {
    if (own(rank) != rank) continue;
    const auto own_spans = of_next_rank(rest, rank, this->order(rank).size());
    add_rank(rank, own_spans);
    rest = std::span(own_spans.end(), rest.end());
  }
}

void StepGraph::find_classes() {
  for (uint32_t rank = 0; rank < class_of_.size(); ++rank) {
    if (own(rank) != rank) continue;
    const uint32_t role = rank / stage_stride_ % plan().mesh.size[2];
    class_of_[rank] = static_cast<uint32_t>(classes_.size());
    Class& added = classes_.emplace_back();
    added.role = role;
    added.order = &order_.role(role);
    ++classes_of_[role];
  }
  for (uint32_t rank = 0; rank < class_of_.size(); ++rank) class_of_[rank] = class_of_[own(rank)];
}

void StepGraph::add_rank(uint32_t rank, std::span<const Span> spans) {
  class_of(rank).spans = spans;
  if (!add_in_order(rank)) add_by_task(rank);
  note_last(rank);
}

/// Whether every task has a span and the spans of each stream are in the plan's order and end in it.
bool StepGraph::add_in_order(uint32_t rank) {
  Class& tasks = class_of(rank);
  if (tasks.spans.empty() || tasks.spans.size() != tasks.order->size()) return false;
  RankTasks::Streams& streams = streams_.emplace_back();
  tasks.streams = &streams;
  streams[0] = tasks.spans.data();
  for (size_t s = 0; s < kStreams; ++s) streams[s + 1] = streams[s] + tasks.order->tasks_on(static_cast<Stream>(s));
  const bool computes = !order_.bodies().communicates(Stream::compute);
  Compute compute;
  compute.gaps.first = static_cast<uint32_t>(gaps_.size());
  compute.loose.first = static_cast<uint32_t>(loose_.size());
  bool in_order = !computes || calls_in_order(rank, compute);
  for (size_t s = 0; s < kStreams && in_order && !timeline_.in_plan_order; ++s) {
    const auto stream = static_cast<Stream>(s);
    if (computes && (stream == Stream::compute || stream == Stream::tensor)) continue;
    Reached reached{0, step().start};
    in_order = go_on_in_order(rank, stream, tasks.on(stream), reached);
  }
  if (!in_order) {
    gaps_.resize(compute.gaps.first);
    loose_.resize(compute.loose.first);
    streams_.pop_back();
    tasks.streams = nullptr;
    return false;
  }
  compute.gaps.count = static_cast<uint32_t>(gaps_.size()) - compute.gaps.first;
  compute.loose.count = static_cast<uint32_t>(loose_.size()) - compute.loose.first;
  if (computes) tasks.compute = &computes_.emplace_back(compute);
  return true;
}

/// Whether the spans are of the stream, are different tasks of it, in the plan's order, and end in it.
bool StepGraph::go_on_in_order(uint32_t rank, Stream stream, std::span<const Span> spans, Reached& reached) const {
  const RoleOrder& order = this->order(rank);
  auto [least, time] = reached;
  for (const Span& span : spans) {
    const RoleTask task{span.call, span.op};
    const uint32_t number = order.number(task);
    if (number < least || order.op(task).stream != stream || span.stream != static_cast<uint8_t>(stream) ||
        span.end < time)
      return false;
    least = number + 1;
    time = span.end;
  }
  reached = {least, time};
  return true;
}

void StepGraph::add_by_task(uint32_t rank) {
  const RoleOrder& order = this->order(rank);
  RankTasks::ByTask& tasks = by_task_.emplace_back();
  tasks.span_of.assign(order.size(), nullptr);
  for (const Span& span : spans(rank)) tasks.span_of[order.number({span.call, span.op})] = &span;
  tasks.last_so_far.reserve(order.size());
  std::array<const Span*, kStreams> last{};
  for (const Call& call : plan().programs[role(rank)].calls) {
    for (const Op& op : plan().bodies[call.body].ops) {
      const Span*& best = last[static_cast<size_t>(op.stream)];
      const Span* const here = tasks.span_of[tasks.last_so_far.size()];
      if (here && (!best || here->end >= best->end)) best = here;
      tasks.last_so_far.push_back(best);
    }
  }
  class_of(rank).by_task = &tasks;
}

void StepGraph::note_last(uint32_t rank) {
  const RankTasks& tasks = this->tasks(rank);
  const Span* last = nullptr;
  if (tasks.streams) {
    for (int s = 0; s < kStreams; ++s) {
      const auto spans = tasks.on(static_cast<Stream>(s));
      if (!spans.empty() && (!last || spans.back().end > last->end)) last = &spans.back();
    }
  } else if (!tasks.spans.empty()) {
    last = &*std::ranges::max_element(tasks.spans, {}, &Span::end);
  }
  if (!last || (last_ && last->end <= last_.span->end)) return;
  if (tasks.streams)  // of those that end last the first
    last = &*std::ranges::lower_bound(tasks.on(static_cast<Stream>(last->stream)), last->end, {}, &Span::end);
  last_ = {rank, last};
}

std::span<const Span> StepGraph::spans(uint32_t rank, Stream stream) const {
  const RankTasks& tasks = this->tasks(rank);
  return tasks.streams ? tasks.on(stream) : of_stream(tasks.spans, stream);
}

void StepGraph::note_contention() {
  const auto records = std::ranges::equal_range(timeline_.contention, step_, {}, &Contention::step);
  contention_ = {records.begin(), records.end()};
  if (contention_.empty()) return;
  contended_.resize(spans_.size() / 64 + 1);
  for (const Contention& record : contention_) contended_[record.span / 64] |= uint64_t{1} << record.span % 64;
}

const std::vector<StepGraph::Member>& StepGraph::members_of(uint16_t comm, uint32_t rank) const {
  if (members_.empty()) members_.resize(class_of_.size());
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

/// The RoleOrder::turn of a span's task.
static uint32_t turn_of(const RankTasks& tasks, uint16_t comm, const Span& span) {
  const auto own = tasks.streams ? tasks.order->own_stream(comm) : std::nullopt;
  if (!own) return tasks.order->turn({span.call, span.op});
  return static_cast<uint32_t>(&span - tasks.on(*own).data());
}

/// The span at a RoleOrder::turn; null if there is none.
static const Span* at_turn(const RankTasks& tasks, uint16_t comm, uint32_t turn) {
  const auto own = tasks.streams ? tasks.order->own_stream(comm) : std::nullopt;
  if (own) return turn < tasks.on(*own).size() ? &tasks.on(*own)[turn] : nullptr;
  const auto task = tasks.order->at_turn(comm, turn);
  return task ? tasks.find(*task) : nullptr;
}

/// The task of `rank` in an operation of another one.
inline TaskSpan StepGraph::met(uint32_t rank, const TaskSpan& task, uint16_t comm) const {
  const RankTasks &own = tasks(task.rank), &other = tasks(rank);
  if (other.role == own.role) return {rank, other.find(task.in_role())};  // ranks of a role run one program
  return {rank, at_turn(other, comm, turn_of(own, comm, *task.span))};
}

/// The task that meets a task of a channel.
inline TaskSpan StepGraph::other_end(const TaskSpan& task, uint16_t channel) const {
  const Communicator& comm = plan().comms[channel];
  const uint32_t role = this->role(task.rank), other = role == comm.source ? comm.target : comm.source;
  return met(task.rank + (other - role) * stage_stride_, task, channel);
}

TaskSpan StepGraph::slowest_member(const TaskSpan& task, const BodyOrders::OpOrder& op) const {
  if (op.group == BodyOrders::kNone) return task;
  const Communicator& comm = plan().comms[op.comm];
  TaskSpan last = task;
  const auto come = [&](const TaskSpan& other) {
    if (other && other.span->start > last.span->start) last = other;
  };
  if (comm.directed) {
    come(other_end(task, op.comm));
  } else if (meets_all_roles(comm)) {
    return latest_of_roles(op.comm, turn_of(tasks(task.rank), op.comm, *task.span), task);
  } else {
    for (const Member& member : members_of(op.comm, task.rank)) come(met(member.rank, task, op.comm));
  }
  return last;
}

/// The slowest() where a group has members of all roles, and those of one role are alike. All roles ask for it.
TaskSpan StepGraph::latest_of_roles(uint16_t index, uint32_t turn, const TaskSpan& task) const {
  auto member = plan().mesh.coordinates(task.rank);
  for (const int axis : {0, 1}) {
    if (plan().comms[index].axes & 1 << axis) member[axis] = 0;
  }
  if (latest_.comm != index || latest_.turn != turn) {
    latest_ = {index, turn, {}};
    for (member[2] = 0; member[2] < classes_of_.size(); ++member[2]) {
      const uint32_t rank = plan().mesh.rank(member);
      const TaskSpan other{rank, at_turn(tasks(rank), index, turn)};
      if (other && (!latest_.task || other.span->start > latest_.task.span->start)) latest_.task = other;
    }
  }
  if (!latest_.task || latest_.task.span->start <= task.span->start) return task;
  member[2] = role(latest_.task.rank);
  return {plan().mesh.rank(member), latest_.task.span};
}

TaskSpan StepGraph::partner(const TaskSpan& task) const {
  const BodyOrders::OpOrder& op = this->op(task);
  if (op.comm >= plan().comms.size() || !is_point_to_point(op.kernel)) return {};
  for (uint32_t member : members(plan(), op.comm, task.rank)) {
    if (role(member) != role(task.rank)) return met(member, task, op.comm);
  }
  return {};
}

Picoseconds StepGraph::work(const TaskSpan& task) const {
  return is_communication(kernel(task)) ? work(*task.span, *slowest(task).span) : task.span->start;
}

}  // namespace pgram
