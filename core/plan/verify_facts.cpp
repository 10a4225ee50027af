// Values: which fields are defined and which gradients are summed is a set of bits per slot, and a body's effect on it
// is the same in each of its calls. Order: what the ops of a body know of each other is the same in each of its calls,
// too; left to prove in a call is that they come after those before it.
#include <algorithm>
#include <bit>
#include <tuple>
#include <unordered_map>

#include "core/plan/verify_calls.h"

namespace pgram {
namespace {

constexpr size_t kMostFields = 64;  // a bit for each

/// Calls `visit(k, formal, field)` for all fields of all operands.
template <class Visit>
void for_fields(const Plan& plan, const Body& body, const Op& op, Visit&& visit) {
  for (int k = 0; k < op.num_operands; ++k) {
    const Operand operand = body.operands[op.first_operand + static_cast<uint32_t>(k)];
    const size_t all = plan.records[body.formals[operand.formal]].fields.size();
    const bool whole = operand.field == kWhole;
    const size_t first = whole ? 0 : operand.field, count = whole ? all : operand.fields;
    for (size_t field = first; field < first + count; ++field) visit(k, operand.formal, static_cast<uint16_t>(field));
  }
}

/// What is known of one bit of every field while a body is walked: as before the body, or set, or not set.
struct Symbolic {
  uint64_t set = 0, clear = 0;
  bool unknown(uint64_t bit) const { return !((set | clear) & bit); }
  void make(uint64_t bit, bool value) {
    (value ? set : clear) |= bit;
    (value ? clear : set) &= ~bit;
  }
  /// Whether it can be; where it depends on what was before, `before` must have the bit.
  bool require(uint64_t bit, bool value, uint64_t& before) const {
    if (unknown(bit)) before |= bit;
    return !((value ? clear : set) & bit);
  }
};

/// Walks a body once, with any slots.
class ValueWalk {
 public:
  ValueWalk(const Plan& plan, const Body& body, const Overlaps& overlaps, std::vector<FormalFacts>& formals)
      : plan_(plan), body_(body), overlaps_(overlaps), formals_(formals), states_(body.formals.size()) {}

  bool run() {
    for (size_t f = 0; f < states_.size(); ++f) {
      const Record& record = plan_.records[body_.formals[f]];
      if (record.fields.size() > kMostFields) return false;
      if (record.kind == RecordKind::scratch) states_[f].defined.clear = ~uint64_t{0};  // nothing outlives a call
    }
    for (const Op& op : body_.ops) {
      bool good = true;
      for_fields(plan_, body_, op, [&](int k, uint8_t f, uint16_t field) { good &= check(op, k, f, field); });
      if (!good) return false;
      for_fields(plan_, body_, op, [&](int k, uint8_t f, uint16_t field) {
        if (k < op.num_writes) write(op, f, field);
      });
    }
    for (size_t f = 0; f < states_.size(); ++f) {
      formals_[f].defines = states_[f].defined.set;
      for (int a = 0; a < FormalFacts::kAxes; ++a) {
        formals_[f].sums[a] = states_[f].summed[a].set;
        formals_[f].zeroes[a] = states_[f].summed[a].clear;
      }
    }
    return true;
  }

 private:
  struct State {
    Symbolic defined;
    std::array<Symbolic, FormalFacts::kAxes> summed;
  };

  bool check(const Op& op, int k, uint8_t f, uint16_t field) {
    const uint64_t bit = uint64_t{1} << field;
    const Record& record = plan_.records[body_.formals[f]];
    const bool writes = k < op.num_writes, reads = !writes || (op.read_writes >> k & 1);
    if (reads && !states_[f].defined.require(bit, true, formals_[f].needs)) return false;
    return record.kind != RecordKind::gradient || check_gradient(op, record.fields[field], f, bit, writes);
  }

  /// A gradient is accumulated, then summed once over each axis on which it is partial, then used.
  bool check_gradient(const Op& op, const Field& field, uint8_t f, uint64_t bit, bool writes) {
    const bool communicates = is_communication(op.kernel);
    if (!communicates && op.kernel == Kernel::zero) return true;
    const AxisMask axes = communicates ? plan_.comms[op.comm].axes : 0;
    if (axes & ~field.partial_axes) return false;
    bool good = true;
    for (int a = 0; a < FormalFacts::kAxes; ++a) {
      const Symbolic& summed = states_[f].summed[a];
      if (communicates ? axes >> a & 1 : writes) good &= summed.require(bit, false, formals_[f].unsummed[a]);
      if (!communicates && !writes && (field.partial_axes >> a & 1))
        good &= summed.require(bit, true, formals_[f].summed[a]);
    }
    return good;
  }

  void write(const Op& op, uint8_t f, uint16_t field) {
    const uint64_t bit = uint64_t{1} << field;
    State& state = states_[f];
    state.defined.make(bit, true);
    for (const uint16_t other : overlaps_[body_.formals[f]][field]) state.defined.make(uint64_t{1} << other, false);
    for (int a = 0; a < FormalFacts::kAxes; ++a) {
      if (op.kernel == Kernel::zero) state.summed[a].make(bit, false);
      if (is_communication(op.kernel) && (plan_.comms[op.comm].axes >> a & 1)) state.summed[a].make(bit, true);
    }
  }

  const Plan& plan_;
  const Body& body_;
  const Overlaps& overlaps_;
  std::vector<FormalFacts>& formals_;
  std::vector<State> states_;
};

/// Whether ops of a group, which start together, touch nothing that another one writes.
bool is_free_of_races(const Plan& plan, const Body& body, const Overlaps& overlaps) {
  bool good = true;
  for (size_t i = 0; i < body.ops.size(); ++i) {
    for (size_t j = 0; j < i; ++j) {
      for_fields(plan, body, body.ops[i], [&](int k, uint8_t f, uint16_t field) {
        for_fields(plan, body, body.ops[j], [&](int l, uint8_t g, uint16_t other) {
          if (f != g || (k >= body.ops[i].num_writes && l >= body.ops[j].num_writes)) return;
          const std::vector<uint16_t>& beside = overlaps[body.formals[f]][field];
          good &= field != other && std::ranges::find(beside, other) == beside.end();
        });
      });
    }
  }
  return good;
}

/// What ops of a body have done with a shared field of a formal.
struct SeenCell {
  struct Looked {  ///< at those who used it before the call
    uint16_t op = 0;
    bool at_readers = false;
  };
  uint8_t formal = 0;
  uint16_t cell = 0;
  int writer = -1;       ///< op
  uint16_t readers = 0;  ///< streams, since then
  std::array<uint16_t, kStreams> reader{};
  std::vector<Looked> looked;
};

/// Walks a body once and proves the order of its ops among themselves.
class OrderWalk {
 public:
  OrderWalk(const Plan& plan, const Body& body, const Overlaps& overlaps, const std::vector<std::vector<int>>& cells,
            BodyFacts& facts)
      : plan_(plan), body_(body), overlaps_(overlaps), cells_(cells), facts_(facts) {}

  /// False: an op waits for a later one, or two are not ordered.
  bool run() {
    facts_.informs.assign(body_.ops.size() * body_.ops.size(), 0);
    facts_.ops.reserve(body_.ops.size());
    seen_.reserve(body_.operands.size());
    bool good = true;
    for (uint16_t i = 0; i < body_.ops.size() && good; ++i) {
      good = add(i);
      for_fields(plan_, body_, body_.ops[i], [&](int k, uint8_t f, uint16_t field) {
        const uint16_t record = body_.formals[f];
        const bool writes = k < body_.ops[i].num_writes;
        if (!good || cells_[record][field] < 0) return;
        good = note(i, f, cells_[record][field], writes ? What::writes : What::reads);
        if (!writes) return;
        for (const uint16_t other : overlaps_[record][field]) {
          if (cells_[record][other] < 0) continue;  // no stream but this op's touches it
          good &= note(i, f, cells_[record][other], What::overlaps);
        }
      });
    }
    uint32_t streams = 0;
    for (const BodyFacts::OnStream& on : facts_.streams) streams |= 1u << on.stream;
    facts_.streams_meet =
        facts_.streams.size() > 1 && std::ranges::all_of(facts_.streams, [&](const BodyFacts::OnStream& on) {
          return facts_.ops[on.last_op].knows == streams;
        });
    for (const SeenCell& seen : seen_) {
      const auto add = [&](std::vector<LastAccess>& list, size_t op) {
        const OpFacts& of = facts_.ops[op];
        list.push_back({seen.cell, of.number, static_cast<uint16_t>(1u << of.stream), seen.formal, of.stream});
      };
      if (seen.writer >= 0) add(facts_.writes, static_cast<size_t>(seen.writer));
      for (uint32_t left = seen.readers; left; left &= left - 1)
        add(facts_.reads, seen.reader[static_cast<size_t>(std::countr_zero(left))]);
    }
    return good;
  }

 private:
  enum class What { reads, writes, overlaps };  ///< overlaps: what is written shares its bytes

  bool add(uint16_t i) {
    const Op& op = body_.ops[i];
    OpFacts& of = facts_.ops.emplace_back();
    of.stream = static_cast<uint8_t>(op.stream);
    of.knows = static_cast<uint16_t>(1u << of.stream);
    auto stream = std::ranges::find(facts_.streams, of.stream, &BodyFacts::OnStream::stream);
    if (stream == facts_.streams.end()) {
      stream = facts_.streams.insert(stream, {of.stream, i, 0});
    } else {
      follow(stream->last_op, i);
    }
    stream->last_op = i;
    of.number = ++stream->ops;
    facts_.informs[i * body_.ops.size() + i] = 1;
    for (uint32_t w = op.first_wait; w < op.first_wait + op.num_waits; ++w) {
      if (body_.waits[w] >= i) return false;
      follow(body_.waits[w], i);
    }
    return true;
  }

  void follow(uint16_t earlier, uint16_t i) {
    const OpFacts& other = facts_.ops[earlier];
    OpFacts& of = facts_.ops[i];
    of.knows |= other.knows;
    for (size_t s = 0; s < of.latest.size(); ++s) of.latest[s] = std::max(of.latest[s], other.latest[s]);
    of.latest[other.stream] = std::max(of.latest[other.stream], other.number);
    const size_t count = body_.ops.size();
    for (size_t from = 0; from <= earlier; ++from)
      facts_.informs[from * count + i] |= facts_.informs[from * count + earlier];
  }

  bool is_after(uint16_t i, uint16_t earlier) const {
    const OpFacts &of = facts_.ops[i], &other = facts_.ops[earlier];
    return of.stream == other.stream || of.latest[other.stream] >= other.number;
  }

  bool note(uint16_t i, uint8_t formal, int cell, What what) {
    SeenCell& seen = find(formal, static_cast<uint16_t>(cell));
    const OpFacts& of = facts_.ops[i];
    if (seen.writer >= 0 && !is_after(i, static_cast<uint16_t>(seen.writer))) return false;
    for (uint32_t left = what == What::reads ? 0 : seen.readers; left; left &= left - 1) {
      if (!is_after(i, seen.reader[static_cast<size_t>(std::countr_zero(left))])) return false;
    }
    if (seen.writer < 0) look(i, seen, what != What::reads);
    if (what == What::reads) {
      seen.readers |= static_cast<uint16_t>(1u << of.stream);
      seen.reader[of.stream] = i;
    } else if (what == What::writes) {
      seen.writer = i;
      seen.readers = 0;
    }
    return true;
  }

  /// Who used the field before the call: to be seen to, unless an op that this one comes after has.
  void look(uint16_t i, SeenCell& seen, bool at_readers) {
    bool for_writers = true, for_readers = at_readers;
    for (const SeenCell::Looked& looked : seen.looked) {
      if (!is_after(i, looked.op)) continue;
      for_writers = false;
      for_readers = for_readers && !looked.at_readers;
    }
    if (!for_writers && !for_readers) return;
    const uint16_t others = static_cast<uint16_t>(~facts_.ops[i].knows);
    facts_.checks.push_back(
        {i, seen.cell, seen.formal, for_writers ? others : uint16_t{0}, for_readers ? others : uint16_t{0}});
    seen.looked.push_back({i, at_readers});
  }

  SeenCell& find(uint8_t formal, uint16_t cell) {
    for (SeenCell& seen : seen_) {
      if (seen.formal == formal && seen.cell == cell) return seen;
    }
    SeenCell& seen = seen_.emplace_back();
    seen.formal = formal;
    seen.cell = cell;
    return seen;
  }

  const Plan& plan_;
  const Body& body_;
  const Overlaps& overlaps_;
  const std::vector<std::vector<int>>& cells_;
  BodyFacts& facts_;
  std::vector<SeenCell> seen_;
};

/// Whether two bodies differ in nothing that matters to their buffers: in names, channels, costs.
bool are_same(const Plan& plan, const Body& a, const Body& b) {
  const auto same_op = [&](const Op& x, const Op& y) {
    const auto axes = [&](const Op& op) { return op.comm == kNoComm ? AxisMask{0} : plan.comms[op.comm].axes; };
    const auto key = [](const Op& op) {
      return std::tuple(op.kernel, op.stream, op.num_operands, op.num_writes, op.read_writes, op.num_waits,
                        op.first_operand, op.first_wait);
    };
    return key(x) == key(y) && axes(x) == axes(y);
  };
  const auto same_operand = [](Operand x, Operand y) {
    return x.formal == y.formal && x.field == y.field && x.fields == y.fields;
  };
  return a.grouped == b.grouped && a.formals == b.formals && a.waits == b.waits &&
         std::ranges::equal(a.ops, b.ops, same_op) && std::ranges::equal(a.operands, b.operands, same_operand);
}

size_t hash_of(const Body& body) {
  size_t hash = body.ops.size();
  const auto mix = [&](size_t value) { hash = (hash ^ value) * 0x9e3779b97f4a7c15u; };
  for (const Op& op : body.ops) mix(static_cast<size_t>(op.kernel) | static_cast<size_t>(op.stream) << 8);
  for (const uint16_t record : body.formals) mix(record);
  return hash;
}

}  // namespace

Overlaps overlaps_of(const Plan& plan) {
  Overlaps all;
  for (const Record& record : plan.records) {
    std::vector<std::vector<uint16_t>> overlaps(record.fields.size());
    if (record.kind == RecordKind::scratch) {
      for (uint16_t a = 0; a < record.fields.size(); ++a) {
        for (uint16_t b = 0; b < record.fields.size(); ++b) {
          const Field &x = record.fields[a], &y = record.fields[b];
          if (a != b && x.offset < y.offset + y.bytes() && y.offset < x.offset + x.bytes()) overlaps[a].push_back(b);
        }
      }
    }
    all.push_back(std::move(overlaps));
  }
  return all;
}

PlanFacts::PlanFacts(const Plan& plan, const Overlaps& overlaps) : plan_(plan) {
  find_shared(overlaps);
  std::unordered_multimap<size_t, size_t> first;  // by hash: the first body of each that is learnt
  for (size_t b = 0; b < plan.bodies.size(); ++b) {
    const Body& body = plan.bodies[b];
    const auto [begin, end] = first.equal_range(hash_of(body));
    const auto found =
        std::find_if(begin, end, [&](const auto& other) { return are_same(plan, body, plan.bodies[other.second]); });
    if (found != end) {
      index_.push_back(index_[found->second]);
      continue;
    }
    index_.push_back(static_cast<uint16_t>(facts_.size()));
    facts_.push_back(learn(body, overlaps));
    first.emplace(hash_of(body), b);
  }
}

void PlanFacts::find_shared(const Overlaps& overlaps) {
  std::vector<std::vector<uint32_t>> streams;  // record, field -> a bit for each
  for (const Record& record : plan_.records) streams.emplace_back(record.fields.size(), 0);
  for (const Body& body : plan_.bodies) {
    for (const Op& op : body.ops) {
      for_fields(plan_, body, op, [&](int, uint8_t f, uint16_t field) {
        streams[body.formals[f]][field] |= 1u << static_cast<int>(op.stream);
      });
    }
  }
  for (size_t r = 0; r < streams.size(); ++r) {
    uint32_t cells = 0;
    cells_.emplace_back(streams[r].size(), -1);
    for (size_t field = 0; field < streams[r].size(); ++field) {
      uint32_t here = streams[r][field];
      for (const uint16_t other : overlaps[r][field]) here |= streams[r][other];
      if (std::popcount(here) > 1) cells_[r][field] = static_cast<int>(cells++);
    }
    num_cells_.push_back(cells);
  }
}

BodyFacts PlanFacts::learn(const Body& body, const Overlaps& overlaps) const {
  BodyFacts facts;
  facts.formals.resize(body.formals.size());
  if (!ValueWalk(plan_, body, overlaps, facts.formals).run()) return facts;
  if (body.grouped && !is_free_of_races(plan_, body, overlaps)) return facts;
  for (uint8_t a = 0; a < body.formals.size(); ++a) {
    for (uint8_t b = 0; b < a; ++b) {
      if (body.formals[a] == body.formals[b]) facts.alike.push_back({a, b});
    }
  }
  facts.known = OrderWalk(plan_, body, overlaps, cells_, facts).run();
  return facts;
}

}  // namespace pgram
