#include "core/plan/link_accesses.h"

#include <algorithm>
#include <bit>

namespace pgram {
namespace {

/// Calls `visit(formal, record, field, writes)` for all fields of all operands.
template <class Visit>
void for_fields(const Plan& plan, const Body& body, const Op& op, Visit&& visit) {
  for (int i = 0; i < op.num_operands; ++i) {
    const Operand operand = body.operands[op.first_operand + i];
    const uint16_t record = body.formals[operand.formal];
    const bool whole = operand.field == kWhole;
    const size_t first = whole ? 0 : operand.field;
    const size_t count = whole ? plan.records[record].fields.size() : operand.fields;
    for (size_t f = first; f < first + count; ++f) visit(operand.formal, record, f, i < op.num_writes);
  }
}

size_t hash_of(const BodyAccesses& body, size_t ops) {
  size_t hash = ops;
  const auto mix = [&](size_t value) { hash = (hash ^ value) * 0x9e3779b97f4a7c15u; };
  for (const Access& a : body.accesses) mix(size_t{a.formal} | size_t{a.field} << 8 | size_t{a.writes} << 24);
  for (const StreamOperation& o : body.operations) mix(size_t{o.first_op} | static_cast<size_t>(o.stream) << 16);
  return hash ^ hash >> 32;
}

}  // namespace

SharedAccesses::SharedAccesses(const Plan& plan) {
  find_shared(plan);
  for (const Body& body : plan.bodies) {
    first_access_.push_back(static_cast<uint32_t>(accesses_.size()));
    first_operation_.push_back(static_cast<uint32_t>(operations_.size()));
    for (uint16_t i = 0; i < body.ops.size(); ++i) {
      const uint32_t first = static_cast<uint32_t>(accesses_.size()) - first_access_.back();
      for_fields(plan, body, body.ops[i], [&](uint8_t formal, uint16_t record, size_t field, bool writes) {
        const int number = number_[record][field];
        if (number >= 0) accesses_.push_back({formal, writes, static_cast<uint16_t>(number)});
      });
      const uint32_t end = static_cast<uint32_t>(accesses_.size()) - first_access_.back();
      if (end > first && !body.grouped) operations_.push_back({i, i, static_cast<int>(body.ops[i].stream), first, end});
    }
    const uint32_t all = static_cast<uint32_t>(accesses_.size()) - first_access_.back();
    if (body.grouped && all > 0) {
      const uint16_t last = static_cast<uint16_t>(body.ops.size() - 1);
      operations_.push_back({0, last, static_cast<int>(body.ops[0].stream), 0, all});
    }
  }
  first_access_.push_back(static_cast<uint32_t>(accesses_.size()));
  first_operation_.push_back(static_cast<uint32_t>(operations_.size()));
  find_alike(plan);
}

BodyAccesses SharedAccesses::operator[](size_t body) const {
  return {{accesses_.data() + first_access_[body], accesses_.data() + first_access_[body + 1]},
          {operations_.data() + first_operation_[body], operations_.data() + first_operation_[body + 1]}};
}

void SharedAccesses::find_shared(const Plan& plan) {
  std::vector<std::vector<uint32_t>> streams;  // record, field -> a bit for each
  for (const Record& record : plan.records) streams.emplace_back(record.fields.size(), 0);
  for (const Body& body : plan.bodies) {
    for (const Op& op : body.ops) {
      for_fields(plan, body, op, [&](uint8_t, uint16_t record, size_t field, bool) {
        streams[record][field] |= 1u << static_cast<int>(op.stream);
      });
    }
  }
  for (const std::vector<uint32_t>& masks : streams) {
    int shared = 0;
    std::vector<int>& numbers = number_.emplace_back();
    for (const uint32_t mask : masks) numbers.push_back(std::popcount(mask) > 1 ? shared++ : -1);
    fields_.push_back(static_cast<uint32_t>(shared));
  }
}

void SharedAccesses::find_alike(const Plan& plan) {
  std::vector<int> table(std::bit_ceil(2 * plan.bodies.size() + 1), -1);  // open addressing
  for (size_t b = 0; b < plan.bodies.size(); ++b) {
    const Body& body = plan.bodies[b];
    const BodyAccesses mine = (*this)[b];
    const auto is_same = [&](size_t other) {
      const BodyAccesses theirs = (*this)[other];
      return body.ops.size() == plan.bodies[other].ops.size() && body.formals == plan.bodies[other].formals &&
             std::ranges::equal(mine.operations, theirs.operations) &&
             std::ranges::equal(mine.accesses, theirs.accesses);
    };
    size_t at = hash_of(mine, body.ops.size()) & (table.size() - 1);
    while (table[at] >= 0 && !is_same(static_cast<size_t>(table[at]))) at = (at + 1) & (table.size() - 1);
    if (table[at] < 0) table[at] = static_cast<int>(b);
    first_alike_.push_back(static_cast<uint16_t>(table[at]));
  }
}

void SlotFields::start(const Program& program) {
  pools_.clear();
  uint32_t fields = 0;
  for (const Pool& pool : program.pools) {
    pools_.push_back({fields, accesses_.fields(pool.record)});
    fields += pool.slots * accesses_.fields(pool.record);
  }
  states_.assign(fields, {});
}

}  // namespace pgram
