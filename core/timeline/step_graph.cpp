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
  note_contention();
  if (timeline.steps.size() == 1 && !timeline.alike.empty())
    patterns_.resize(std::ranges::max(timeline.alike, {}, &AlikeCall::pattern).pattern + 1);
  first_spans_.reserve(ranks_.size());  // so that they stay where they are
  computes_.reserve(ranks_.size());
  for (uint32_t rank = 0; rank < ranks_.size(); ++rank) {
    ranks_[rank].own = own(rank);
    ranks_[rank].order = &order_.role(roles_[rank]);
    if (own(rank) == rank) add_rank(rank);
  }
  for (RankTasks& tasks : ranks_) {
    tasks.first_span = ranks_[tasks.own].first_span;
    tasks.by_task = ranks_[tasks.own].by_task;
    tasks.compute = ranks_[tasks.own].compute;
  }
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

void StepGraph::add_rank(uint32_t rank) {
  const auto spans = pgram::of_rank(spans_, rank);
  const Span* latest = add_in_order(rank, spans);
  if (!latest) {
    add_by_task(order(rank), plan().programs[roles_[rank]], spans);
    ranks_[rank].by_task = &by_task_.back();
    if (!spans.empty()) latest = &*std::ranges::max_element(spans, {}, &Span::end);
  }
  if (!latest || (last_ && latest->end <= last_end_)) return;
  last_ = Task{rank, latest->call, latest->op};
  last_end_ = latest->end;
}

/// Where every task has a span and the spans of each stream are in the plan's order and end in it: gives the first that
/// ends last. Else, or where there are none: null.
const Span* StepGraph::add_in_order(uint32_t rank, std::span<const Span> spans) {
  if (spans.size() != order(rank).size()) return nullptr;
  std::array<std::span<const Span>, kStreams> streams;
  std::array<uint32_t, kStreams> first{};
  for (auto rest = spans; !rest.empty(); rest = rest.subspan(streams[rest.front().stream].size())) {
    first[rest.front().stream] = index_of(rest.front());
    streams[rest.front().stream] = of_first_stream(rest);
  }
  ranks_[rank].first_span = first_spans_.emplace_back(first).data();
  const bool computes = !order_.bodies().communicates(Stream::compute);
  Compute compute;
  compute.gaps.first = static_cast<uint32_t>(after_gaps_.size());
  compute.covered.first = static_cast<uint32_t>(covered_gaps_.size());
  compute.loose.first = static_cast<uint32_t>(loose_.size());
  const auto in_order = [&](Stream stream) {
    const auto& own = streams[static_cast<size_t>(stream)];
    if (computes && stream == Stream::compute) return computes_in_order(rank, own, compute);
    if (computes && stream == Stream::tensor) return is_tensor_in_order(rank, own, compute);
    Reached reached{0, step().start};
    return go_on_in_order(order(rank), own, reached);
  };
  const Span* latest = nullptr;
  for (size_t s = 0; s < streams.size(); ++s) {
    if (streams[s].empty()) continue;
    if (!in_order(static_cast<Stream>(s))) {
      after_gaps_.resize(compute.gaps.first);
      covered_gaps_.resize(compute.covered.first);
      loose_.resize(compute.loose.first);
      first_spans_.pop_back();
      ranks_[rank].first_span = nullptr;
      return nullptr;
    }
    const Picoseconds end = streams[s].back().end;
    if (!latest || end > latest->end) latest = &*std::ranges::lower_bound(streams[s], end, {}, &Span::end);
  }
  if (computes) ranks_[rank].compute = &computes_.emplace_back(compute);
  return latest;
}

/// Whether the spans, of one stream, are different tasks of it, in the plan's order, and end in it.
bool StepGraph::go_on_in_order(const RoleOrder& order, std::span<const Span> spans, Reached& reached) const {
  for (const Span& span : spans) {
    const RoleTask task{span.call, span.op};
    const uint32_t number = order.number(task);
    if (number < reached.number || order.op(task).stream != static_cast<Stream>(span.stream) || span.end < reached.time)
      return false;
    reached = {number + 1, span.end};
  }
  return true;
}

/// The same of a compute stream without communication, whose spans must not wait; notes what it did.
bool StepGraph::computes_in_order(uint32_t rank, std::span<const Span> spans, Compute& compute) {
  const RoleOrder& order = this->order(rank);
  const auto alike = alike_calls(rank);
  auto next_alike = alike.begin();
  Picoseconds now = step().start;
  for (const Span *at = spans.data(), *const end = at + spans.size(); at != end;) {
    const uint32_t call = at->call;
    const auto [place, ops] = order.lane(call, Stream::compute);
    if (!ops || place != at - spans.data() || ops->num_ops > end - at) return false;
    Picoseconds& busy = compute.busy[static_cast<size_t>(ops->category)];
    while (next_alike != alike.end() && next_alike->call < call) ++next_alike;
    Pattern* const pattern =
        next_alike != alike.end() && next_alike->call == call ? &patterns_[next_alike->pattern] : nullptr;
    if (pattern && pattern->is_covered) {
      if (at->start != now && !note_gap(*at, now, compute)) return false;
      add_covered(*next_alike, *at, compute);
      busy += pattern->length - pattern->gaps;
      now = at->start + pattern->length;
      at += ops->num_ops;
      continue;
    }
    const Picoseconds worked = now - compute.idle;
    const Span* const first = at;
    for (const uint64_t head : order_.bodies().heads_of(*ops)) {
      if (at->call != call || at->head() != head) return false;
      if (at->start != now && !note_gap(*at, now, compute)) return false;
      now = at++->end;
    }
    busy += now - compute.idle - worked;
    if (pattern && !pattern->is_known) learn(*pattern, rank, {first, at});
  }
  compute.disjoint &= now <= step().end;
  compute.gaps.count = static_cast<uint32_t>(after_gaps_.size()) - compute.gaps.first;
  compute.covered.count = static_cast<uint32_t>(covered_gaps_.size()) - compute.covered.first;
  return true;
}

/// Between `now` and the span, which must end later than `now`.
bool StepGraph::note_gap(const Span& span, Picoseconds now, Compute& compute) {
  if (span.end < now) return false;
  compute.idle += span.start - now;
  if (span.start > now)
    after_gaps_.push_back(index_of(span));
  else
    compute.disjoint = false;
  return true;
}

void StepGraph::add_by_task(const RoleOrder& order, const Program& program, std::span<const Span> spans) {
  ByTask& tasks = by_task_.emplace_back();
  tasks.span_of.assign(order.size(), kNone);
  for (const Span& span : spans) tasks.span_of[order.number({span.call, span.op})] = index_of(span);
  tasks.last_so_far.reserve(order.size());
  std::array<RoleTask, kStreams> last;
  last.fill(kNobody);
  for (uint32_t call = 0; call < program.calls.size(); ++call) {
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
  if (!task || !has_span(tasks, *task)) return std::nullopt;
  return Task{rank, task->call, task->op};
}

/// The task of `rank` in an operation of another one.
std::optional<Task> StepGraph::met(uint32_t rank, const Task& task, uint16_t comm) const {
  const RoleTask own{task.call, task.op};
  if (roles_[rank] != roles_[task.rank]) return at_turn(rank, comm, order(task.rank).turn(own));
  // Ranks of a role run one program.
  if (!has_span(ranks_[rank], own)) return std::nullopt;
  return Task{rank, task.call, task.op};
}

Task StepGraph::slowest(const Task& task) const {
  const BodyOrders::OpOrder& op = this->op(task);
  if (op.in_role && one_class_[roles_[task.rank]]) return task;  // all others are alike
  if (op.comm >= plan().comms.size()) return task;
  if (meets_all_roles(op.comm)) return latest_of_roles(op.comm, order(task.rank).turn({task.call, task.op}), task);
  Task last = task;
  Picoseconds latest = span(task).start;
  const auto meet = [&](uint32_t rank) {
    const auto other = met(rank, task, op.comm);
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
  } else {
    for (const Member& member : members_of(index, rank)) visit(member.rank);
  }
}

/// The slowest() where a group has members of all roles, and those of one role are alike. All roles ask for it.
Task StepGraph::latest_of_roles(uint16_t index, uint32_t turn, const Task& task) const {
  auto member = plan().mesh.coordinates(task.rank);
  for (const int axis : {0, 1}) {
    if (plan().comms[index].axes & 1 << axis) member[axis] = 0;
  }
  if (latest_.comm != index || latest_.turn != turn) {
    latest_ = {index, turn, std::nullopt, 0};
    for (member[2] = 0; member[2] < one_class_.size(); ++member[2]) {
      const auto other = at_turn(plan().mesh.rank(member), index, turn);
      if (!other || (latest_.task && span(*other).start <= latest_.start)) continue;
      latest_.task = other;
      latest_.start = span(*other).start;
    }
  }
  if (!latest_.task || latest_.start <= span(task).start) return task;
  member[2] = roles_[latest_.task->rank];
  return {plan().mesh.rank(member), latest_.task->call, latest_.task->op};
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
  return work(span(task), span(slowest(task)));
}

Picoseconds StepGraph::work(const Span& own, const Span& slowest) const {
  constexpr Picoseconds kUnit = 1000;  // of Span::wait()
  const Picoseconds known = std::min(own.start + own.wait(), own.end);
  const Picoseconds latest = slowest.start;
  return latest >= known && latest < known + kUnit ? std::min(latest, own.end) : known;
}

std::optional<Task> StepGraph::explains(const Task& task) const {
  const RankTasks& tasks = ranks_[task.rank];
  const Picoseconds start = span(task).start;
  std::optional<Task> last;
  Picoseconds latest = 0;
  tasks.order->for_predecessors({task.call, task.op}, [&](RoleTask before) {
    if (!tasks.first_span) before = tasks.by_task->last_so_far[tasks.order->number(before)];
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

std::span<const Contention> StepGraph::contention(const Span& span) const {
  const uint32_t index = index_of(span);
  if (!is_contended(index)) return {};
  const auto range = std::ranges::equal_range(contention_, index, {}, &Contention::span);
  return {range.begin(), range.end()};
}

}  // namespace pgram
