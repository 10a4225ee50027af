#include "core/plan/known_plans.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "core/plan/link.h"
#include "core/plan/plan.h"
#include "core/plan/verify.h"

namespace pgram {
namespace {

bool overlap(const Field& a, const Field& b) {
  return a.offset < b.offset + b.bytes() && b.offset < a.offset + a.bytes();
}

bool are_same(const Record& a, const Record& b) {
  const auto same_field = [](const Field& x, const Field& y) { return x.partial_axes == y.partial_axes; };
  if (a.kind != b.kind || !std::ranges::equal(a.fields, b.fields, same_field)) return false;
  if (a.kind != RecordKind::scratch) return true;
  for (size_t x = 0; x < a.fields.size(); ++x) {  // scratch is packed: which fields share bytes depends on sizes
    for (size_t y = 0; y < x; ++y) {
      if (overlap(a.fields[x], a.fields[y]) != overlap(b.fields[x], b.fields[y])) return false;
    }
  }
  return true;
}

bool are_same(const Communicator& a, const Communicator& b) {
  return a.axes == b.axes && a.directed == b.directed && a.source == b.source && a.target == b.target &&
         a.roles == b.roles;
}

/// Of bodies without their waits.
bool are_same(const Body& a, const Body& b) {
  const auto same_op = [](const Op& x, const Op& y) {
    return x.kernel == y.kernel && x.stream == y.stream && x.num_operands == y.num_operands &&
           x.num_writes == y.num_writes && x.read_writes == y.read_writes && x.first_operand == y.first_operand &&
           x.comm == y.comm && x.micro_batch_offset == y.micro_batch_offset;
  };
  const auto same_operand = [](Operand x, Operand y) {
    return x.formal == y.formal && x.field == y.field && x.fields == y.fields;
  };
  return a.grouped == b.grouped && a.formals == b.formals && std::ranges::equal(a.ops, b.ops, same_op) &&
         std::ranges::equal(a.operands, b.operands, same_operand);
}

/// Of programs without their waits.
bool are_same(const Program& a, const Program& b) {
  const auto same_pool = [](const Pool& x, const Pool& y) { return x.record == y.record && x.slots == y.slots; };
  const auto same_call = [](const Call& x, const Call& y) {
    return x.body == y.body && x.first_arg == y.first_arg && x.layer == y.layer && x.micro_batch == y.micro_batch;
  };
  return std::ranges::equal(a.pools, b.pools, same_pool) && std::ranges::equal(a.calls, b.calls, same_call) &&
         std::ranges::equal(a.args, b.args, {}, &Arg::bits, &Arg::bits);
}

/// Whether on each communicator all move the same: then no two that meet can differ.
bool moves_alike(const Plan& plan) {
  constexpr uint64_t kNone = ~uint64_t{0};
  std::vector<uint64_t> bytes(plan.comms.size(), kNone);
  for (const Body& body : plan.bodies) {
    for (const Op& op : body.ops) {
      if (op.comm == kNoComm) continue;
      const Communicator& comm = plan.comms[op.comm];
      if (!comm.directed && !(comm.axes & kPp)) continue;  // within a role, which shares its program
      if (bytes[op.comm] == kNone) bytes[op.comm] = op.bytes;
      if (bytes[op.comm] != op.bytes) return false;
    }
  }
  return true;
}

/// Everything that link() and verify() look at, but for what link() makes.
bool have_same_structure(const Plan& a, const Plan& b) {
  const auto equal = [](const auto& x, const auto& y) {
    return std::ranges::equal(x, y, [](const auto& one, const auto& other) { return are_same(one, other); });
  };
  return equal(a.records, b.records) && equal(a.comms, b.comms) && equal(a.bodies, b.bodies) &&
         equal(a.programs, b.programs) && moves_alike(b);
}

void copy_links(const Plan& from, Plan& to) {
  for (size_t b = 0; b < to.bodies.size(); ++b) {
    const Body& linked = from.bodies[b];
    Body& body = to.bodies[b];
    body.waits = linked.waits;
    for (size_t i = 0; i < body.ops.size(); ++i) {
      body.ops[i].num_waits = linked.ops[i].num_waits;
      body.ops[i].first_wait = linked.ops[i].first_wait;
    }
  }
  for (size_t p = 0; p < to.programs.size(); ++p) {
    const Program& linked = from.programs[p];
    Program& program = to.programs[p];
    program.syncs = linked.syncs;
    program.num_events = linked.num_events;
    for (size_t c = 0; c < program.calls.size(); ++c) {
      program.calls[c].first_sync = linked.calls[c].first_sync;
      program.calls[c].num_syncs = linked.calls[c].num_syncs;
    }
  }
}

uint64_t sizes_of(const Plan& plan) {
  uint64_t hash = plan.records.size();
  const auto mix = [&](uint64_t value) { hash = (hash ^ value) * 0x9e3779b97f4a7c15u, hash ^= hash >> 32; };
  for (const Body& body : plan.bodies) mix(body.operands.size() << 32 | body.ops.size());
  for (const Program& program : plan.programs) mix(program.args.size() << 32 | program.calls.size());
  return hash;
}

template <class T>
uint64_t bytes_of(const std::vector<T>& list) {
  return list.capacity() * sizeof(T);
}

uint64_t bytes_of(const Plan& plan) {
  uint64_t bytes = bytes_of(plan.records) + bytes_of(plan.bodies) + bytes_of(plan.comms) + bytes_of(plan.programs);
  for (const Record& record : plan.records) bytes += bytes_of(record.fields);
  for (const Body& body : plan.bodies)
    bytes += bytes_of(body.ops) + bytes_of(body.operands) + bytes_of(body.waits) + bytes_of(body.formals);
  for (const Program& program : plan.programs)
    bytes += bytes_of(program.calls) + bytes_of(program.args) + bytes_of(program.syncs) + bytes_of(program.slot_ops);
  return bytes;
}

}  // namespace

std::string KnownPlans::link_and_verify(const std::shared_ptr<Plan>& plan) {
  const uint64_t sizes = sizes_of(*plan);
  if (const std::shared_ptr<const Plan> known = find(*plan, sizes)) {
    copy_links(*known, *plan);
    return "";
  }
  link(*plan);
  std::string error = verify(*plan);
  if (error.empty()) keep(plan, sizes);
  return error;
}

size_t KnownPlans::size() const {
  const std::lock_guard lock(mutex_);
  return entries_.size();
}

std::shared_ptr<const Plan> KnownPlans::find(const Plan& plan, uint64_t sizes) {
  std::vector<std::shared_ptr<const Plan>> candidates;
  {
    const std::lock_guard lock(mutex_);
    for (const Entry& entry : entries_) {
      if (entry.sizes == sizes) candidates.push_back(entry.plan);
    }
  }
  const auto same =
      std::ranges::find_if(candidates, [&](const auto& known) { return have_same_structure(*known, plan); });
  if (same == candidates.end()) return nullptr;
  const std::lock_guard lock(mutex_);
  const auto entry = std::ranges::find(entries_, *same, &Entry::plan);
  if (entry != entries_.end()) entries_.splice(entries_.begin(), entries_, entry);
  return *same;
}

void KnownPlans::keep(std::shared_ptr<const Plan> plan, uint64_t sizes) {
  const uint64_t bytes = bytes_of(*plan);
  const std::lock_guard lock(mutex_);
  entries_.push_front({sizes, bytes, std::move(plan)});
  for (bytes_ += bytes; bytes_ > most_bytes_; entries_.pop_back()) bytes_ -= entries_.back().bytes;
}

}  // namespace pgram
