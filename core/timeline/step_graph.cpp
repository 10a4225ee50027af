#include "core/timeline/step_graph.h"

#include <algorithm>
#include <array>
#include <utility>

#include "core/timeline/lookup.h"

namespace pgram {

StepGraph::StepGraph(const Timeline& timeline, size_t step)
    : timeline_(timeline), step_(step), spans_(timeline.of_step(step)), ranks_(timeline.plan->mesh.ranks()) {
  roles_.reserve(ranks_.size());
  for (uint32_t rank = 0; rank < ranks_.size(); ++rank) roles_.push_back(plan().role(rank));
  orders_.reserve(plan().programs.size());
  for (const Program& program : plan().programs) orders_.emplace_back(plan(), program);
  for (uint32_t rank = 0; rank < ranks_.size(); ++rank) {
    if (own(rank) == rank) add_rank(rank);
  }
  members_.resize(ranks_.size());
  for (const Body& body : plan().bodies) {
    for (const Op& op : body.ops) {
      if (is_communication(op.kernel)) communicating_ |= 1u << static_cast<int>(op.stream);
    }
  }
}

void StepGraph::add_rank(uint32_t rank) {
  const auto spans = pgram::of_rank(spans_, rank);
  const Span* latest = add_in_order(rank, spans);
  if (!latest) {
    std::ranges::fill(ranks_[rank].span_of, kNone);
    for (const Span& span : spans) ranks_[rank].span_of[order(rank).task(span.call, span.op)] = index_of(span);
    find_last_so_far(rank);
    if (!spans.empty()) latest = &*std::ranges::max_element(spans, {}, &Span::end);
  }
  if (latest && (!last_ || latest->end > span(*last_).end)) last_ = node(*latest, rank);
}

/// Where every task has a span and the spans of each stream are in the plan's order and end in it: gives the first that
/// ends last. Else, or where there are none: null.
const Span* StepGraph::add_in_order(uint32_t rank, std::span<const Span> spans) {
  const RoleOrder& order = this->order(rank);
  std::vector<uint32_t>& span_of = ranks_[rank].span_of;
  span_of.resize(order.size());
  if (spans.size() != order.size()) return nullptr;
  struct Run {
    const Span *next = nullptr, *end = nullptr;
  };
  std::array<Run, kStreams> runs;
  const Span* latest = nullptr;
  for (const Span *first = spans.data(), *end = first + spans.size(); first < end;) {
    const Span* next = std::partition_point(first, end, [&](const Span& span) { return span.stream <= first->stream; });
    if (std::adjacent_find(first, next, [](const Span& a, const Span& b) { return a.end > b.end; }) != next)
      return nullptr;
    if (!latest || next[-1].end > latest->end) {
      latest = std::partition_point(first, next, [&](const Span& span) { return span.end < next[-1].end; });
    }
    runs[first->stream] = {first, next};
    first = next;
  }
  const uint32_t calls = static_cast<uint32_t>(plan().programs[roles_[rank]].calls.size());
  for (uint32_t call = 0; call < calls; ++call) {
    uint32_t* const spans_of_call = span_of.data() + order.task(call, 0);
    for (const RoleOrder::Lane& lane : order.lanes(call)) {
      Run& run = runs[static_cast<size_t>(lane.stream)];
      if (static_cast<size_t>(run.end - run.next) < lane.ops.size()) return nullptr;
      for (const uint16_t op : lane.ops) {
        if (run.next->call != call || run.next->op != op) return nullptr;
        spans_of_call[op] = index_of(*run.next++);
      }
    }
  }
  return latest;
}

void StepGraph::find_last_so_far(uint32_t rank) {
  const RoleOrder& order = this->order(rank);
  RankTasks& tasks = ranks_[rank];
  tasks.last_so_far.assign(order.size(), kNone);
  std::array<uint32_t, kStreams> last;
  last.fill(kNone);
  const Program& program = plan().programs[roles_[rank]];
  for (uint32_t task = 0; task < order.size(); ++task) {
    const Op& op = plan().bodies[program.calls[order.call(task)].body].ops[order.op(task)];
    uint32_t& best = last[static_cast<size_t>(op.stream)];
    const uint32_t here = tasks.span_of[task];
    if (here != kNone && (best == kNone || spans_[here].end >= spans_[tasks.span_of[best]].end)) best = task;
    tasks.last_so_far[task] = best;
  }
}

const Op& StepGraph::op(Node node) const {
  const RoleOrder& order = this->order(node.rank);
  const Call& call = plan().programs[roles_[node.rank]].calls[order.call(node.task)];
  return plan().bodies[call.body].ops[order.op(node.task)];
}

Category StepGraph::category(Node node) const {
  const RoleOrder& order = this->order(node.rank);
  const Body& body = plan().bodies[plan().programs[roles_[node.rank]].calls[order.call(node.task)].body];
  return category_of(body, body.ops[order.op(node.task)]);
}

Task StepGraph::task(Node node) const {
  const RoleOrder& order = this->order(node.rank);
  return {node.rank, order.call(node.task), order.op(node.task)};
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

std::optional<StepGraph::Node> StepGraph::at_turn(Member member, uint16_t comm, uint32_t turn) const {
  const std::vector<uint32_t>& turns = order(member.rank).turns_of(comm);
  if (turn >= turns.size() || ranks_[member.own].span_of[turns[turn]] == kNone) return std::nullopt;
  return Node{member.rank, turns[turn]};
}

StepGraph::Node StepGraph::slowest(Node node) const {
  const Op& op = this->op(node);
  if (op.comm >= plan().comms.size()) return node;
  const std::vector<Member>& members = members_of(op.comm, node.rank);
  if (members.size() == 1) return node;  // all others are alike
  const uint32_t turn = order(node.rank).turn(node.task);
  Node last = node;
  Picoseconds latest = span(node).start;
  for (const Member& member : members) {
    const auto other = at_turn(member, op.comm, turn);
    if (!other || span(*other).start <= latest) continue;
    last = *other;
    latest = span(*other).start;
  }
  return last;
}

std::optional<StepGraph::Node> StepGraph::partner(Node node) const {
  const Op& op = this->op(node);
  if (op.comm >= plan().comms.size() || !is_point_to_point(op.kernel)) return std::nullopt;
  for (uint32_t member : members(plan(), op.comm, node.rank)) {
    if (roles_[member] == roles_[node.rank]) continue;
    return at_turn({member, own(member)}, op.comm, order(node.rank).turn(node.task));
  }
  return std::nullopt;
}

Picoseconds StepGraph::work(Node node) const {
  constexpr Picoseconds kUnit = 1000;  // of Span::wait()
  const Span& own = span(node);
  if (!is_communication(op(node).kernel)) return own.start;
  const Picoseconds known = std::min(own.start + own.wait(), own.end);
  const Picoseconds latest = span(slowest(node)).start;
  return latest >= known && latest < known + kUnit ? std::min(latest, own.end) : known;
}

std::optional<StepGraph::Node> StepGraph::explains(Node node) const {
  const RankTasks& tasks = ranks_[own(node.rank)];
  const Picoseconds start = span(node).start;
  std::optional<Node> last;
  Picoseconds latest = 0;
  order(node.rank).for_predecessors(node.task, [&](uint32_t before) {
    const uint32_t task = tasks.last_so_far.empty() ? before : tasks.last_so_far[before];
    if (task == kNone) return;
    const Picoseconds end = std::min(spans_[tasks.span_of[task]].end, start);
    if (last && end <= latest) return;
    last = Node{node.rank, task};
    latest = end;
  });
  return last;
}

std::span<const Contention> StepGraph::contention(Node node) const {
  if (timeline_.contention.empty()) return {};
  const std::pair key(static_cast<uint32_t>(step_), ranks_[own(node.rank)].span_of[node.task]);
  const auto range = std::ranges::equal_range(timeline_.contention, key, {},
                                              [](const Contention& c) { return std::pair(c.step, c.span); });
  return {range.begin(), range.end()};
}

}  // namespace pgram
