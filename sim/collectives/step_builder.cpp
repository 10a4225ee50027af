#include "sim/collectives/step_builder.h"

#include <algorithm>
#include <cassert>
#include <numeric>

#include "core/base/errors.h"

namespace pgram::sim {

StepBuilder::StepBuilder(Collective collective, Algorithm algorithm, const GroupNodes& shape,
                         const StepOptions& options) {
  program_.collective = collective;
  program_.algorithm = algorithm;
  program_.members = shape.members();
  program_.channels = program_.asked_channels = options.channels;
  program_.chunks = options.chunks;
  program_.separate_output = collective == Collective::all_to_all || collective == Collective::send_recv;
  const bool has_switches = algorithm == Algorithm::nvls || algorithm == Algorithm::nvls_tree;
  program_.switches = has_switches ? static_cast<uint32_t>(shape.nodes.size()) : 0;
}

void StepBuilder::set_blocks(uint32_t blocks) {
  program_.blocks = blocks;
  program_.position.resize(blocks);
  std::iota(program_.position.begin(), program_.position.end(), 0u);
}

void StepBuilder::add(uint32_t round, uint32_t source, uint32_t target, Range blocks, bool reduces) {
  Transfer t;
  t.source = source, t.target = target;
  t.source_block = t.target_block = blocks.first, t.count = blocks.count;
  t.reduces = reduces;
  add(round, t);
}

void StepBuilder::deliver(uint32_t round, uint32_t source, uint32_t target, uint32_t source_block,
                          Range target_blocks) {
  Transfer t;
  t.source = source, t.target = target;
  t.source_block = source_block, t.target_block = target_blocks.first, t.count = target_blocks.count;
  add(round, t);
}

void StepBuilder::add(uint32_t round, const Transfer& transfer) {
  assert(transfer.count > 0 && transfer.source != transfer.target);
  if (messages_.size() >= kMostTransfers)
    throw InputError("collective",
                     "more than " + std::to_string(kMostTransfers) + " messages: take a smaller group or fewer chunks");
  messages_.push_back({round, transfer});
  messages_.back().transfer.channel = static_cast<uint16_t>(channel);
  messages_.back().transfer.chunk = static_cast<uint16_t>(chunk);
}

StepProgram StepBuilder::finish() {
  const auto earlier = [](const Message& a, const Message& b) {
    return a.round != b.round ? a.round < b.round : a.transfer.chunk < b.transfer.chunk;
  };
  if (!std::is_sorted(messages_.begin(), messages_.end(), earlier))
    std::stable_sort(messages_.begin(), messages_.end(), earlier);
  if (!program_.separate_output) blocks_.resize(size_t{program_.members + program_.switches} * program_.blocks);
  program_.transfers.reserve(messages_.size());
  program_.predecessors.reserve(2 * messages_.size());
  for (const Message& message : messages_) place(message);
  return std::move(program_);
}

void StepBuilder::place(const Message& message) {
  const Transfer& t = message.transfer;
  const bool tracked = !program_.separate_output;
  const auto adds_to_a_sum = [&](const Block& to) {
    return t.reduces && to.readers == kNoTransfer && (to.summed || to.writers == kNoTransfer);
  };
  for (uint32_t i = 0; tracked && i < t.count; ++i) {
    need_few_writers(t.source, at(t.source, t.source_block + i));
    Block& to = at(t.target, t.target_block + i);
    if (!adds_to_a_sum(to)) need_few_writers(t.target, to);
  }
  needed_.clear();
  const auto self = static_cast<uint32_t>(program_.transfers.size());
  for (uint32_t i = 0; tracked && i < t.count; ++i) {
    Block& from = at(t.source, t.source_block + i);
    take_all(from.writers);
    push(from.readers, self);
    Block& to = at(t.target, t.target_block + i);
    to.summed = adds_to_a_sum(to);
    if (!to.summed) {
      take_all(to.writers);
      take_all(to.readers);
      to.writers = to.readers = kNoTransfer;
    }
    push(to.writers, self);
  }
  Connection& connection = connections_[uint64_t{t.channel} << 48 | uint64_t{t.source} << 24 | t.target];
  if (connection.round != message.round || connection.chunk != t.chunk) {
    connection.before = connection.last;
    connection.round = message.round;
    connection.chunk = t.chunk;
  }
  connection.last = self;
  Transfer after = t;
  after.before = connection.before;
  commit(after);
}

void StepBuilder::push(uint32_t& list, uint32_t transfer) {
  nodes_.push_back({transfer, list});
  list = static_cast<uint32_t>(nodes_.size() - 1);
}

void StepBuilder::take_all(uint32_t list) {
  for (; list != kNoTransfer; list = nodes_[list].next) needed_.push_back(nodes_[list].transfer);
}

void StepBuilder::need_few_writers(uint32_t where, Block& block) {
  uint32_t count = 0;
  for (uint32_t node = block.writers; node != kNoTransfer && count < 3; node = nodes_[node].next) ++count;
  if (count < 3) return;
  needed_.clear();
  take_all(block.writers);
  Transfer join;
  join.source = join.target = where;
  block.writers = kNoTransfer;
  push(block.writers, commit(join));
}

uint32_t StepBuilder::commit(Transfer t) {
  std::sort(needed_.begin(), needed_.end());
  needed_.erase(std::unique(needed_.begin(), needed_.end()), needed_.end());
  t.first_predecessor = static_cast<uint32_t>(program_.predecessors.size());
  t.num_predecessors = static_cast<uint32_t>(needed_.size());
  uint32_t step = 0;
  const auto comes_after = [&](const Transfer& other) {
    step = std::max(step, other.step + (other.joins() ? 0u : 1u));
  };
  for (const uint32_t p : needed_) comes_after(program_.transfers[p]);
  if (t.before != kNoTransfer) comes_after(program_.transfers[t.before]);
  t.step = step & 0x7fffffff;
  program_.predecessors.insert(program_.predecessors.end(), needed_.begin(), needed_.end());
  program_.transfers.push_back(t);
  program_.steps = std::max(program_.steps, step + (t.joins() ? 0u : 1u));
  return static_cast<uint32_t>(program_.transfers.size() - 1);
}

}  // namespace pgram::sim
