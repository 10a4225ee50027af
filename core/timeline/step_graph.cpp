#include "core/timeline/step_graph.h"

#include <algorithm>
#include <array>
#include <utility>

#include "core/timeline/lookup.h"

namespace pgram {

StepGraph::StepGraph(const Timeline& timeline, size_t step)
    : timeline_(timeline), step_(step), spans_(timeline.of_step(step)), ranks_(timeline.plan->mesh.ranks()) {
  for (uint32_t rank = 0; rank < ranks_.size(); ++rank) roles_.push_back(plan().role(rank));
  for (const Program& program : plan().programs) orders_.emplace_back(plan(), program);
  for (uint32_t rank = 0; rank < ranks_.size(); ++rank) {
    if (own(rank) == rank) add_rank(rank);
  }
  members_.resize(ranks_.size());
  if (spans_.empty()) return;
  const Span& last = *std::ranges::max_element(spans_, {}, &Span::end);
  last_ = node(last, last.rank);
}

void StepGraph::add_rank(uint32_t rank) {
  const RoleOrder& order = this->order(rank);
  RankTasks& tasks = ranks_[rank];
  tasks.span_of.assign(order.size(), kNone);
  tasks.last_so_far.assign(order.size(), kNone);
  const auto spans = pgram::of_rank(spans_, rank);
  for (const Span& span : spans) {
    tasks.span_of[order.task(span.call, span.op)] = static_cast<uint32_t>(&span - spans_.data());
  }
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
  const uint32_t turn = order(node.rank).turn(node.task);
  Node last = node;
  Picoseconds latest = span(node).start;
  for (const Member& member : members_of(op.comm, node.rank)) {
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
  for (uint32_t before : order(node.rank).predecessors(node.task)) {
    const uint32_t task = tasks.last_so_far[before];
    if (task == kNone) continue;
    const Picoseconds end = std::min(spans_[tasks.span_of[task]].end, start);
    if (last && end <= latest) continue;
    last = Node{node.rank, task};
    latest = end;
  }
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
